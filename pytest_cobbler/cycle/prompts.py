"""The prompts of measure and stitch: templates, and the facts that they are filled with.

What others wrote (tasks, documents, output of programs) stands between tags that do not occur in it.
Whatever is the same for every task of a cycle comes first, so that the API's prompt cache pays for it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from pytest_cobbler.errors import ConfigurationProblem
from pytest_cobbler.tracker.base import Task

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

__all__ = [
    "Document",
    "Feedback",
    "MeasureFacts",
    "NeedFacts",
    "StitchFacts",
    "check_template",
    "informative",
    "measure_prompt",
    "stitch_prompt",
]

Phase = Literal["measure", "stitch"]

DOCUMENT_BUDGET = 200_000
"""Bytes of documents in one prompt."""

LISTED_FILES = 1_500
"""Names of files in one prompt; of more files only their directories are named."""

LISTED_TASKS = 1_000
"""Tasks of one kind in a prompt; the latest ones."""

EVIDENCE = 8_000
"""Characters of a gate's or an agent's output in one prompt."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text of the repository that is given whole: a vision, a requirement, an interface.

    A ``text`` of ``None`` has not been read: only the path is given.
    """

    path: str
    text: str | None


@dataclass(frozen=True, kw_only=True)
class MeasureFacts:
    """What the agent that proposes tasks is told.

    ``other_tasks`` are the rejected and deferred ones; ``documents`` are in the order of their importance,
    and what exceeds ``document_budget`` bytes is only named; ``gate`` are the commands as they are shown;
    ``user_input`` is the configuration's ``user_prompt``; ``errors`` say what was wrong with the last answer,
    ``previous``.
    """

    open_tasks: Sequence[Task] = ()
    finished_tasks: Sequence[Task] = ()
    other_tasks: Sequence[Task] = ()
    limit: int
    output_path: str
    user_input: str = ""
    lines_min: int
    lines_max: int
    gate: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    documents: Sequence[Document] = ()
    document_budget: int = DOCUMENT_BUDGET
    files: Sequence[str] = ()
    errors: Sequence[str] = ()
    previous: str = ""


@dataclass(frozen=True, kw_only=True)
class NeedFacts:
    """A landed task that the current one needs: its title, and the files that it changed."""

    title: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Why the last attempt did not land.

    ``files``: those with conflict markers, or those that were refused; ``theirs``: the titles of the landed
    tasks on the other side of a conflict; ``evidence``: output, cut to its informative part when it is shown;
    ``continues``: the worktree holds the work of the last attempt, merged with the tip.
    """

    kind: Literal["gate", "conflict", "refused", "agent", "harvest"]
    summary: str
    evidence: str = ""
    files: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
    continues: bool = True


@dataclass(frozen=True, kw_only=True)
class StitchFacts:
    """What the agent that does a task is told.

    ``documents``, ``files`` and ``finished`` (titles) are best taken once for a cycle: they stand before the
    task, and a prompt that begins like the one before it costs less.
    """

    id: str
    title: str
    type: str = "task"
    description: str = ""
    needs: Sequence[NeedFacts] = ()
    gate: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    finished: Sequence[str] = ()
    attempt: int = 1
    feedback: Feedback | None = None
    documents: Sequence[Document] = ()
    document_budget: int = DOCUMENT_BUDGET
    files: Sequence[str] = ()


def measure_prompt(template: str | None, facts: MeasureFacts, *, source: str = "measure_prompt") -> str:
    """The prompt for one measure, from the user's ``template`` or the built-in one.

    Args:
        source: the template's file, for messages.

    Raises:
        ConfigurationProblem: the template has something unknown in it, or lacks ``{{.OutputPath}}``.
    """
    if template is None:
        return _speakable(_built_in("measure.md").render(facts=facts))
    values = {
        "ExistingIssues": _issues([*facts.open_tasks, *facts.other_tasks, *facts.finished_tasks]),
        "Limit": facts.limit,
        "OutputPath": facts.output_path,
        "UserInput": facts.user_input,
        "LinesMin": facts.lines_min,
        "LinesMax": facts.lines_max,
    }
    return _speakable(
        _users(template, "measure", source).render(values) + _appendix("measure_appendix", facts)
    )


def stitch_prompt(template: str | None, facts: StitchFacts, *, source: str = "stitch_prompt") -> str:
    """The prompt for one attempt, from the user's ``template`` or the built-in one.

    Args:
        source: the template's file, for messages.

    Raises:
        ConfigurationProblem: the template has something unknown in it, or lacks both ``{{.Title}}`` and
            ``{{.Description}}``.
    """
    if template is None:
        return _speakable(_built_in("stitch.md").render(facts=facts))
    values = {
        "Title": facts.title,
        "ID": facts.id,
        "IssueType": facts.type,
        "Description": facts.description,
    }
    return _speakable(_users(template, "stitch", source).render(values) + _appendix("stitch_appendix", facts))


def check_template(template: str, phase: Phase, source: str) -> None:
    """See that a user's template can be used, before anything is spent.

    Raises:
        ConfigurationProblem: naming ``source`` and the line.
    """
    _users(template, phase, source)


# What the templates call


def informative(text: str, limit: int = EVIDENCE) -> str:
    """At most ``limit`` characters of a program's output: what stands around the first error, and the end."""
    lines = [_shortened(line) for line in _plain(text).strip("\n").split("\n")]
    if _size(lines) <= limit:
        return "\n".join(lines)
    start = max(0, next((number for number, line in enumerate(lines) if _ERROR.search(line)), 0) - 2)
    room = max(0, limit - 2 * len(_left_out(len(lines))) - 2)
    if _size(lines[start:]) <= room:
        tail = _fitting(lines[::-1], room)[::-1]
        shown = [_left_out(len(lines) - len(tail)), *tail]
    else:
        head = _fitting(lines[start:], room // 2)
        tail = _fitting(lines[::-1], room // 2)[::-1]
        before = [_left_out(start)] if start else []
        shown = [*before, *head, _left_out(len(lines) - start - len(head) - len(tail)), *tail]
    return "\n".join(shown)[-limit:]


def _left_out(count: int) -> str:
    return f"[... {count} lines left out ...]"


_LONGEST_LINE = 400
_ERROR = re.compile(
    r"(?<!no )(?<!\b0 )\b(\w*errors?|\w*exception|fail(ed|ures?)?|panic|fatal|traceback|undefined|cannot)\b",
    re.IGNORECASE,
)
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _size(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    taken = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken.append(line)
    return taken


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 4]} ..."


def _plain(text: str) -> str:
    """Without colours, overwritten progress lines and control characters."""
    lines = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(_CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)


def _line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _data(tag: str, text: str, **attributes: str) -> str:
    """``text`` between tags that do not occur in it: it cannot end the data and go on as instructions."""
    text = _CONTROL.sub("", text).strip("\n")
    name = tag
    count = 1
    while re.search(rf"<\s*/?\s*{re.escape(name)}", text, re.IGNORECASE):
        count += 1
        name = f"{tag}-{count}"
    words = "".join(f" {key}={_quoted(value)}" for key, value in attributes.items())
    return f"<{name}{words}>\n{text}\n</{name}>"


def _quoted(value: str) -> str:
    return json.dumps(_line(value), ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")


def _documents(documents: Sequence[Document], budget: int) -> str:
    """The documents that fit, in their order, and the names of the others."""
    shown: list[str] = []
    others: list[str] = []
    for document in documents:
        size = 0 if document.text is None else len(document.text.encode("utf-8", "surrogatepass"))
        if document.text is None or size > budget:
            others.append(document.path)
        else:
            budget -= size
            shown.append(_data("document", document.text, path=document.path))
    if others:
        shown.append("Not shown here; read them where they matter:\n\n" + _data("paths", _lines(others)))
    return "\n\n".join(shown)


@lru_cache(maxsize=2)  # every task of a cycle lists the same ones
def _listing(files: tuple[str, ...]) -> str:
    """The names of the files, or, of very many, their directories."""
    names = sorted(files)
    if len(names) <= LISTED_FILES:
        return _data("files", _lines(names))
    depth = max(name.count("/") for name in names)
    while depth > 1 and len(_directories(names, depth)) > LISTED_FILES:
        depth -= 1
    found = sorted(_directories(names, depth).items())
    lines = [f"{name}/ ({count} files)" for name, count in found[:LISTED_FILES]]
    if len(found) > LISTED_FILES:
        lines.append(f"... and {len(found) - LISTED_FILES} more directories")
    return _data("directories", _lines(lines))


def _directories(names: Sequence[str], depth: int) -> Counter[str]:
    return Counter("/".join(name.split("/")[:-1][:depth]) or "." for name in names)


def _lines(texts: Sequence[str]) -> str:
    return "\n".join(_line(text) for text in texts)


def _tasks(tag: str, tasks: Sequence[Task]) -> str:
    """One line for each task; the oldest first, and of very many the latest."""
    ordered = sorted(tasks, key=lambda task: (task.created_at, task.id))
    lines = [f"{_line(task.id)}: {_line(task.title)}" for task in ordered[-LISTED_TASKS:]]
    if len(ordered) > LISTED_TASKS:
        lines.insert(0, f"({len(ordered) - LISTED_TASKS} earlier ones are not listed)")
    return _data(tag, "\n".join(lines))


def _issues(tasks: Sequence[Task]) -> str:
    """What the ancestor's templates get as ``ExistingIssues``: JSON, an object on each line."""
    objects = [
        {
            "id": task.id,
            "title": task.title,
            "status": task.status,
            "issue_type": task.type,
            "priority": task.priority,
        }
        | ({} if task.status == "closed" else {"description": task.description})
        for task in sorted(tasks, key=lambda task: (task.created_at, task.id))
    ]
    return "[" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in objects) + "]"


def _speakable(prompt: str) -> str:
    """An agent's program may take a prompt that begins with a slash for one of its own commands."""
    text = prompt.strip().encode("utf-8", "replace").decode() + "\n"
    return f"Instructions:\n\n{text}" if text.startswith("/") else text


# Templates


def _environment(**options: Any) -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, **options
    )


@cache
def _built_in(name: str) -> Template:
    environment = _environment(trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        data=_data,
        documents=_documents,
        files=lambda names: _listing(tuple(names)),
        informative=informative,
        line=_line,
        lines=_lines,
        tasks=_tasks,
    )
    environment.loader = _package_loader()
    return environment.get_template(name)


def _package_loader() -> Any:
    from jinja2 import FunctionLoader

    folder = resources.files("pytest_cobbler") / "data" / "prompts"
    return FunctionLoader(lambda name: (folder / name).read_text("utf-8"))


def _appendix(name: str, facts: MeasureFacts | StitchFacts) -> str:
    """What a user's template, written for the ancestor, cannot know."""
    return "\n\n" + _built_in(f"{name}.md").render(facts=facts)


_PLACEHOLDERS: dict[Phase, tuple[str, ...]] = {
    "measure": ("ExistingIssues", "Limit", "OutputPath", "UserInput", "LinesMin", "LinesMax"),
    "stitch": ("Title", "ID", "IssueType", "Description"),
}
_NEEDED: dict[Phase, tuple[str, ...]] = {"measure": ("OutputPath",), "stitch": ("Title", "Description")}
"""Of each, one must be there."""

_ACTION = re.compile(r"\{\{(?P<left>-\s)?(?P<body>.*?)(?P<right>\s-)?\}\}", re.DOTALL)


@cache
def _users(template: str, phase: Phase, source: str) -> Template:
    """A template in the ancestor's language, compiled."""
    return _environment().from_string(_Translation(template, phase, source).result())


@dataclass
class _Translation:
    """Turns the ancestor's Go template into a Jinja template.

    Every ``{`` of the text itself becomes an expression, so that nothing is taken for Jinja's own syntax.
    """

    template: str
    phase: Phase
    source: str
    _open: list[tuple[int, bool]] = field(default_factory=list)
    """Line of each ``{{if}}`` that has not ended, and whether its ``{{else}}`` was seen."""
    _used: set[str] = field(default_factory=set)

    def result(self) -> str:
        parts = list(self._parts())
        if self._open:
            raise self._problem(self._open[-1][0], "{{if}} without {{end}}")
        if not self._used.intersection(_NEEDED[self.phase]):
            needed = " or ".join(f"{{{{.{name}}}}}" for name in _NEEDED[self.phase])
            raise ConfigurationProblem(f"{self.source}: the template lacks {needed}", self._remedy())
        return "".join(parts)

    def _parts(self) -> Iterator[str]:
        position = 0
        trim = False
        for found in _ACTION.finditer(self.template):
            text = self._text(position, found.start(), trim, bool(found["left"]))
            yield text
            yield self._action(found["body"].strip(), self._line_at(found.start()))
            position, trim = found.end(), bool(found["right"])
        yield self._text(position, len(self.template), trim, False)

    def _text(self, start: int, end: int, trim_left: bool, trim_right: bool) -> str:
        text = self.template[start:end]
        if "{{" in text:
            raise self._problem(self._line_at(start + text.index("{{")), "{{ without }}")
        text = text.lstrip(" \t\r\n") if trim_left else text
        text = text.rstrip(" \t\r\n") if trim_right else text
        return text.replace("{", "{{ '{' }}")

    def _action(self, body: str, line: int) -> str:
        words = body.split()
        match words:
            case ["if", name]:
                self._open.append((line, False))
                return f"{{% if {self._name(name, line)} %}}"
            case ["else"] if self._open and not self._open[-1][1]:
                self._open[-1] = (self._open[-1][0], True)
                return "{% else %}"
            case ["end"] if self._open:
                self._open.pop()
                return "{% endif %}"
            case ["else" | "end"]:
                raise self._problem(line, f"{{{{{body}}}}} without {{{{if}}}}")
            case [name] if name.startswith("."):
                return f"{{{{ {self._name(name, line)} }}}}"
            case _ if body.startswith("/*") and body.endswith("*/"):
                return ""
        raise self._problem(line, f"{{{{{_shortened(_line(body))}}}}} is not understood")

    def _name(self, word: str, line: int) -> str:
        name = word.removeprefix(".")
        if not word.startswith(".") or name not in _PLACEHOLDERS[self.phase]:
            raise self._problem(line, f"{_shortened(word)} is not a placeholder of this template")
        self._used.add(name)
        return name

    def _line_at(self, position: int) -> int:
        return self.template.count("\n", 0, position) + 1

    def _problem(self, line: int, what: str) -> ConfigurationProblem:
        return ConfigurationProblem(f"{self.source}:{line}: {what}", self._remedy())

    def _remedy(self) -> str:
        names = " ".join(f"{{{{.{name}}}}}" for name in _PLACEHOLDERS[self.phase])
        return (
            f"A {self.phase} template may use {names} and {{{{if .NAME}}}} ... {{{{else}}}} ... {{{{end}}}}."
        )

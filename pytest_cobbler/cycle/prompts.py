"""The prompts of measure and stitch: templates, and the facts that fill them.

Texts that others wrote (tasks, documents, output of programs) are between tags that do not occur in them.
The part that is the same for every task of a cycle comes first, so that the API's prompt cache applies to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from pytest_cobbler.causes import Cause
from pytest_cobbler.config.go_templates import Phase, TemplateProblem, translate
from pytest_cobbler.cycle import framing
from pytest_cobbler.cycle.framing import DOCUMENT_BUDGET, Document
from pytest_cobbler.errors import ConfigurationProblem
from pytest_cobbler.landing.tip import Red
from pytest_cobbler.report.evidence import informative
from pytest_cobbler.tracker.base import Task

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment


@dataclass(frozen=True, kw_only=True)
class MeasureFacts:
    """The facts for the agent that proposes tasks.

    ``other_tasks`` are the rejected and deferred tasks. ``documents`` are in the order of their importance;
    those beyond ``document_budget`` bytes are only named. ``gate`` are the commands as they are shown;
    ``gate_is_offline``: they have no network; ``red``: what fails already. ``directory`` is that of the
    project in the repository, empty at the top; ``outside`` are the paths outside of it that may change.
    ``tried``: task id -> how the last
    attempt at it ended. ``user_input`` is the configuration's ``user_prompt``. ``errors`` are the faults of
    the last answer, ``previous``.
    """

    open_tasks: Sequence[Task] = ()
    finished_tasks: Sequence[Task] = ()
    other_tasks: Sequence[Task] = ()
    tried: Mapping[str, str] = field(default_factory=dict)
    limit: int
    output_path: str
    user_input: str = ""
    lines_min: int
    lines_max: int
    gate: tuple[str, ...] = ()
    gate_is_offline: bool = True
    red: Red | None = None
    protected: tuple[str, ...] = ()
    directory: str = ""
    outside: tuple[str, ...] = ()
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

    ``files`` have conflict markers, or were refused; ``unmarked`` conflict without markers. ``theirs`` are
    the titles of the landed tasks on the other side of a conflict. ``details`` is output, cut to its
    informative part when it is shown.
    ``continues``: the worktree holds the work of the last attempt, merged with the tip.
    """

    kind: Cause
    summary: str
    details: str = ""
    files: tuple[str, ...] = ()
    unmarked: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
    continues: bool = True


@dataclass(frozen=True, kw_only=True)
class StitchFacts:
    """The facts for the agent that does a task.

    Read ``documents``, ``files`` and ``finished`` (titles) once for a cycle: they precede the task in the
    prompt, and a prompt that begins like the previous one costs less. The gate is as in ``MeasureFacts``.
    ``left`` are commits of work that earlier attempts left beside their files, a line each.
    """

    id: str
    title: str
    type: str = "task"
    description: str = ""
    needs: Sequence[NeedFacts] = ()
    gate: tuple[str, ...] = ()
    gate_is_offline: bool = True
    red: Red | None = None
    protected: tuple[str, ...] = ()
    directory: str = ""
    outside: tuple[str, ...] = ()
    finished: Sequence[str] = ()
    attempt: int = 1
    feedback: Feedback | None = None
    left: Sequence[str] = ()
    documents: Sequence[Document] = ()
    document_budget: int = DOCUMENT_BUDGET
    files: Sequence[str] = ()


def measure_prompt(template: str | None, facts: MeasureFacts, *, source: str = "measure_prompt") -> str:
    """The prompt for one measure, from the user's ``template`` or the built-in one.

    Args:
        source: the template's file, for messages.

    Raises:
        ConfigurationProblem: the template contains something unknown, or lacks ``{{.OutputPath}}``.
    """
    if template is None:
        return _speakable(_built_in("measure.md").render(facts=facts))
    values = {
        "ExistingIssues": framing.issues([*facts.open_tasks, *facts.other_tasks, *facts.finished_tasks]),
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
        ConfigurationProblem: the template contains something unknown, or lacks both ``{{.Title}}`` and
            ``{{.Description}}``.
    """
    if template is None:
        return _speakable(_built_in("stitch.md").render(facts=facts))
    values = {
        "Title": facts.title,
        "ID": facts.id,
        "IssueType": facts.type,
        "Description": framing.description(facts.description),
    }
    return _speakable(_users(template, "stitch", source).render(values) + _appendix("stitch_appendix", facts))


def stitch_beginning(facts: StitchFacts) -> str:
    """The part of the built-in prompt that is the same for every task of a cycle."""
    return _speakable(_built_in("stitch_beginning.md").render(facts=facts))


def stitch_turn(facts: StitchFacts) -> str:
    """What an agent is told whose conversation goes on; ``facts.feedback`` is the reason."""
    return _speakable(_built_in("stitch_turn.md").render(facts=facts))


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
        data=framing.data,
        description=framing.description,
        documents=framing.documents,
        files=lambda names: framing.files(tuple(names)),
        informative=informative,
        latest=framing.latest,
        line=framing.line,
        lines=framing.lines,
        tasks=framing.tasks,
    )
    environment.loader = _package_loader()
    return environment.get_template(name)


def _package_loader() -> Any:
    from jinja2 import FunctionLoader

    folder = resources.files("pytest_cobbler") / "data" / "prompts"
    return FunctionLoader(lambda name: (folder / name).read_text("utf-8"))


def _appendix(name: str, facts: MeasureFacts | StitchFacts) -> str:
    """Rules that a user's template, written for the ancestor, does not contain."""
    return "\n\n" + _built_in(f"{name}.md").render(facts=facts)


@cache
def _users(template: str, phase: Phase, source: str) -> Template:
    """A template in the ancestor's language, compiled."""
    try:
        translated = translate(template, phase)
    except TemplateProblem as problem:
        where = source if problem.line is None else f"{source}:{problem.line}"
        raise ConfigurationProblem(f"{where}: {problem.what}", problem.remedy) from None
    return _environment().from_string(translated)


def _speakable(prompt: str) -> str:
    """The prompt with a first line that is not a slash command of the agent's program."""
    text = prompt.strip().encode("utf-8", "replace").decode() + "\n"
    return f"Instructions:\n\n{text}" if text.startswith("/") else text

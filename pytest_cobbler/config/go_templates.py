"""Users' prompt templates: translates the used part of Go's template language to Jinja's.

The placeholders are those of mage-claude-orchestrator. Each is one text or one number: conditions can ask for
them, and there is nothing to range over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pytest_cobbler.config.faults import printable

Phase = Literal["measure", "stitch"]

Kind = Literal["text", "number", "condition"]

PLACEHOLDERS: Mapping[Phase, Mapping[str, Kind]] = {
    "measure": {
        "ExistingIssues": "text",
        "Limit": "number",
        "OutputPath": "text",
        "UserInput": "text",
        "LinesMin": "number",
        "LinesMax": "number",
    },
    "stitch": {"Title": "text", "ID": "text", "IssueType": "text", "Description": "text"},
}
"""The placeholders of each phase: name -> kind of value."""

_NEEDED: Mapping[Phase, tuple[str, ...]] = {"measure": ("OutputPath",), "stitch": ("Title", "Description")}
"""A template must have at least one of each group."""

_DEEPEST = 20
"""Parentheses in one action, nested conditions."""

_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

_COMMENT = re.compile(r"\{\{(?P<left>-\s)?\s*/\*.*?\*/\s*?(?P<right>\s-)?\}\}", re.DOTALL)
_ACTION = re.compile(
    r'\{\{(?P<left>-\s)?(?P<body>(?:"(?:\\.|[^"\\\n])*"|`[^`]*`|[^"`])*?)(?P<right>\s-)?\}\}', re.DOTALL
)
_TOKEN = re.compile(
    r'\s+|(?P<text>"(?:\\.|[^"\\\n])*"|`[^`]*`)|(?P<name>\$?(?:\.\w+)+)|(?P<dot>\.)(?![\w$])'
    r"|(?P<number>-?\d{1,9})(?!\w)|(?P<word>[A-Za-z]\w*)|(?P<mark>[()])|(?P<other>.)",
    re.DOTALL,
)


class TemplateProblem(ValueError):
    """A template cannot be used. ``line`` is ``None`` if the whole template is meant."""

    def __init__(self, what: str, line: int | None, phase: Phase) -> None:
        super().__init__(what)
        self.what = what
        self.line = line
        names = " ".join(f"{{{{.{name}}}}}" for name in PLACEHOLDERS[phase])
        self.remedy = f"A {phase} template may use {names} and {{{{if}}}} ... {{{{else}}}} ... {{{{end}}}}."


def translate(template: str, phase: Phase) -> str:
    """A user's template in Jinja's language; its variables are the placeholders' names.

    Raises:
        TemplateProblem: it has something unknown in it, or lacks the placeholder that it needs.
    """
    return _Translation(template, phase).result()


@dataclass(frozen=True)
class _Value:
    """An expression in Jinja's language."""

    text: str
    kind: Kind
    placeholders: frozenset[str] = frozenset()


@dataclass
class _Block:
    """An ``{{if}}`` or ``{{with}}`` that has not ended; ``dot`` is the value of ``{{.}}`` in a with."""

    word: str
    line: int
    dot: _Value | None = None
    has_else: bool = False


@dataclass
class _Translation:
    """Every ``{`` of the text becomes an expression, so that nothing is taken for Jinja's own syntax."""

    template: str
    phase: Phase
    _open: list[_Block] = field(default_factory=list)
    _shown: set[str] = field(default_factory=set)
    _line: int = 1

    def result(self) -> str:
        parts = list(self._parts())
        if self._open:
            block = self._open[-1]
            raise TemplateProblem(f"{{{{{block.word}}}}} without {{{{end}}}}", block.line, self.phase)
        needed = _NEEDED[self.phase]
        if not self._shown.intersection(needed):
            names = " or ".join(f"{{{{.{name}}}}}" for name in needed)
            raise TemplateProblem(f"the template lacks the placeholder {names}", None, self.phase)
        return "".join(parts)

    def _parts(self) -> Iterator[str]:
        position = 0
        trim = False
        while (start := self.template.find("{{", position)) >= 0:
            self._line = self.template.count("\n", 0, start) + 1
            comment = _COMMENT.match(self.template, start)
            found = comment or _ACTION.match(self.template, start)
            if not found:
                raise self._problem("{{ without }}")
            yield _literal(self.template[position:start], trim, bool(found["left"]))
            if not comment:
                yield self._action(found["body"].strip())
            position, trim = found.end(), bool(found["right"])
        yield _literal(self.template[position:], trim, False)

    def _action(self, body: str) -> str:
        word, rest = (*body.split(None, 1), "", "")[:2]
        match word, rest.split():
            case "if", [_, *_]:
                self._begin(_Block("if", self._line))
                return f"{{% if {self._value(rest).text} %}}"
            case "with", [_, *_]:
                value = self._value(rest)
                self._shown |= value.placeholders
                self._begin(_Block("with", self._line, dot=value))
                return f"{{% if {value.text} %}}"
            case "else", [] if self._may_else():
                self._open[-1].has_else = True
                self._open[-1].dot = None
                return "{% else %}"
            case "else", ["if", _, *_] if self._may_else() and self._open[-1].word == "if":
                return f"{{% elif {self._value(rest.split(None, 1)[1]).text} %}}"
            case "end", [] if self._open:
                self._open.pop()
                return "{% endif %}"
            case ("end", []) | ("else", _):
                raise self._problem(f"{{{{{printable(body)}}}}} without {{{{if}}}}")
            case "range", _:
                raise self._problem("{{range}} is not supported: every placeholder is one text or number")
        value = self._value(body)
        if value.kind == "condition":
            raise self._problem(f"{{{{{printable(body)}}}}} is a condition, which belongs into an {{{{if}}}}")
        self._shown |= value.placeholders
        return f"{{{{ {value.text} }}}}"

    def _begin(self, block: _Block) -> None:
        self._open.append(block)
        if len(self._open) > _DEEPEST:
            raise self._problem(f"more than {_DEEPEST} nested conditions")

    def _may_else(self) -> bool:
        return bool(self._open) and not self._open[-1].has_else

    def _value(self, text: str) -> _Value:
        tokens = [found for found in _TOKEN.finditer(text) if not found[0].isspace()]
        if sum(token[0] == "(" for token in tokens) > _DEEPEST:
            raise self._not_understood(text)
        value = self._call(tokens, text)
        if tokens:
            raise self._not_understood(text)
        return value

    def _call(self, tokens: list[re.Match[str]], text: str) -> _Value:
        """One operand, or a function and its operands; takes them off ``tokens``."""
        if not tokens or not tokens[0]["word"] or tokens[0][0] in ("true", "false"):
            return self._operand(tokens, text)
        name = tokens.pop(0)[0]
        values = []
        while tokens and tokens[0][0] != ")":
            values.append(self._operand(tokens, text))
        placeholders = frozenset[str]().union(*(value.placeholders for value in values))
        kinds = {value.kind for value in values}
        texts = [value.text for value in values]
        if name == "not" and len(values) == 1:
            return _Value(f"(not {texts[0]})", "condition", placeholders)
        if name in ("and", "or") and len(values) > 1:
            kind = values[0].kind if len(kinds) == 1 else "condition"
            return _Value(f"({f' {name} '.join(texts)})", kind, placeholders)
        if name == "eq" and len(values) > 2 and len(kinds) == 1:  # the first with any of the others
            return _Value(f"({texts[0]} in [{', '.join(texts[1:])}])", "condition", placeholders)
        if name in _COMPARISONS and len(values) == 2 and len(kinds) == 1:
            return _Value(f"({f' {_COMPARISONS[name]} '.join(texts)})", "condition", placeholders)
        if name in _COMPARISONS and len(kinds) > 1:
            raise self._problem(f"{{{{{printable(text)}}}}} compares a text with a number")
        raise self._not_understood(text)

    def _operand(self, tokens: list[re.Match[str]], text: str) -> _Value:
        if not tokens:
            raise self._not_understood(text)
        token = tokens.pop(0)
        if token["name"]:
            return self._placeholder(token[0])
        if token["dot"] and (dot := self._dot()):
            return dot
        if token["text"]:
            return _Value(ascii(self._unquoted(token[0])), "text")
        if token["number"]:
            return _Value(str(int(token[0])), "number")
        if token[0] in ("true", "false"):
            return _Value(token[0], "condition")
        if token[0] == "(":
            value = self._call(tokens, text)
            if tokens and tokens.pop(0)[0] == ")":
                return value
        raise self._not_understood(text)

    def _placeholder(self, word: str) -> _Value:
        name = word.removeprefix("$").removeprefix(".")
        kind = PLACEHOLDERS[self.phase].get(name)
        if kind is None:
            raise self._problem(f"{printable(word)} is not a placeholder of this template")
        if self._dot() and not word.startswith("$"):
            raise self._problem(f"{word} is in a {{{{with}}}}: write $.{name} there")
        return _Value(name, kind, frozenset({name}))

    def _dot(self) -> _Value | None:
        """The value of ``{{.}}`` here."""
        return next((block.dot for block in reversed(self._open) if block.dot), None)

    def _unquoted(self, literal: str) -> str:
        if literal.startswith("`"):
            return literal[1:-1]
        escapes = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
        if unknown := set(re.findall(r"\\(.)", literal[1:-1])) - escapes.keys():
            raise self._problem(f"\\{unknown.pop()} is not understood in a text")
        return re.sub(r"\\(.)", lambda found: escapes[found[1]], literal[1:-1])

    def _not_understood(self, text: str) -> TemplateProblem:
        return self._problem(f"{{{{{printable(text)}}}}} is not understood")

    def _problem(self, what: str) -> TemplateProblem:
        return TemplateProblem(what, self._line, self.phase)


def _literal(text: str, trim_left: bool, trim_right: bool) -> str:
    text = text.lstrip(" \t\r\n") if trim_left else text
    text = text.rstrip(" \t\r\n") if trim_right else text
    return text.replace("{", "{{ '{' }}")

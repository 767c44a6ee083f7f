"""The agents of a configuration: one name or a list of them, and the models that they ask."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from pytest_cobbler.config.faults import Part, Wrong, shown
from pytest_cobbler.config.texts import mapping, word
from pytest_cobbler.config.values import PLAIN, one_of

__all__ = ["AGENTS", "COMMANDS", "WITHOUT_MODEL", "AgentNames", "ModelNames", "is_among", "names_of"]

AGENTS: Final = ("claude", "codex", "opencode", "gemini", "acp", "command", "replay")

COMMANDS: Final = ("command", "acp")
"""Agents whose program is agent_command."""

WITHOUT_MODEL: Final = (*COMMANDS, "replay")
"""Agents that no model is passed to."""

_DATE: Final = re.compile(r"-\d{8}$")
_NAMES: Final = {"type": "string", "enum": list(AGENTS)}
_MODEL: Final = {"type": "string"}


def names_of(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """The names in a value of the key ``agent``."""
    return (value,) if isinstance(value, str) else value


def is_among(model: str, names: Iterable[str]) -> bool:
    """Whether one of the ``names`` of the key ``models`` stands for a model; without names, any does.

    A ``*`` at the end of a name stands for any end, and a name without a date for the model of any date.
    """
    every = tuple(names)
    return not every or any(
        model.startswith(name[:-1]) if name.endswith("*") else name in (model, _DATE.sub("", model))
        for name in every
    )


def _name(value: object) -> str:
    if not isinstance(value, str) or value not in AGENTS:
        raise Wrong(f"{shown(value)} is not allowed; allowed: {one_of(*AGENTS).words}")
    return value


def _names(value: object) -> str | tuple[str, ...]:
    """One name as it is, several as a tuple."""
    if not isinstance(value, list | tuple):
        return _name(value)
    if not value:
        raise Wrong("an empty list: name an agent")
    wrong: list[Part] = []
    for index, name in enumerate(value):
        try:
            _name(name)
        except Wrong as fault:
            wrong.append(((index,), str(fault)))
            continue
        if name in value[:index]:
            wrong.append(((index,), f"{shown(name)} is in the list already"))
        elif name == "replay" and len(value) > 1:
            wrong.append(((index,), "a replay works alone: it asks no API that could be limited"))
    if wrong:
        raise Wrong.together(wrong)
    return str(value[0]) if len(value) == 1 else tuple(map(str, value))


def _models(value: object) -> str | dict[str, str] | None:
    """One model as it is, several by the names of their agents."""
    if not isinstance(value, Mapping):
        return word("a model")(value)
    models: dict[str, str] = {}
    wrong: list[Part] = []
    for name, model in mapping(value, "agent: model").items():
        try:
            models[_name(name)] = word("a model")(model) or ""
        except Wrong as fault:
            wrong.append(((name,), str(fault)))
        else:
            if not models[name]:
                wrong.append(((name,), "a model without a name"))
    if wrong:
        raise Wrong.together(wrong)
    return models


AgentNames = Annotated[
    str | tuple[str, ...],
    PlainValidator(_names),
    PLAIN,
    WithJsonSchema(
        {"anyOf": [_NAMES, {"type": "array", "items": _NAMES, "minItems": 1, "uniqueItems": True}]}
    ),
]
ModelNames = Annotated[
    str | Mapping[str, str] | None,
    PlainValidator(_models),
    PLAIN,
    WithJsonSchema({"anyOf": [_MODEL, {"type": "object", "additionalProperties": _MODEL}]}),
]

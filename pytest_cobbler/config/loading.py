"""From a file and the command line to a ``Config``, or to a list of all errors."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_cobbler.config.faults import Fault, Line, Wrong, problem, shown
from pytest_cobbler.config.model import Config
from pytest_cobbler.config.rules import broken
from pytest_cobbler.config.source import Source, read
from pytest_cobbler.config.values import Allowed


def load(
    path: Path, overrides: Mapping[str, object] | None = None, *, content: bytes | None = None
) -> Config:
    """The validated configuration in the file ``path``.

    Args:
        overrides: values from the command line by key, ``None`` where none was given; they follow the same
            rules, and their errors name the option.
        content: that of the file at another time.

    Raises:
        ConfigurationProblem: with every error of the file and the overrides, each with its line and key.
    """
    path = Path(os.path.normpath(path.absolute()))
    source = read(path, content)
    written, unknown = _known(source)
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    faults = _Faults(source, frozenset(given))

    good, wrong = _sound(written, path)
    faults.add(*unknown, *wrong)
    good_given, wrong_given = _sound(given, path)
    faults.add_options(*(fault for fault in wrong_given if fault.key in given))

    try:
        config = Config.model_validate({**good, **good_given}, context=path)
    except ValidationError:  # a default that does not fit this repository: it is among the faults
        raise problem(path, faults.lines) from None
    invalid = frozenset(fault.key for fault in (*wrong, *wrong_given)) | faults.unreadable
    faults.add_either(*broken(config, invalid))
    if faults.lines:
        raise problem(path, faults.lines)
    return config


class _Faults:
    """Collects the lines of the report."""

    def __init__(self, source: Source, given: frozenset[str]) -> None:
        self._source = source
        self._given = given
        self.lines = list(source.errors)

    @property
    def unreadable(self) -> frozenset[str]:
        """Keys whose value could not be read."""
        return frozenset(str(spot[0]) for spot in self._source.lines) - self._source.values.keys()

    def add(self, *faults: Fault) -> None:
        for fault in faults:
            line = self._source.line((fault.key, *fault.at))
            self.lines.append(Line(number=line, text=f"{fault.where}: {fault.message}"))

    def add_options(self, *faults: Fault) -> None:
        for fault in faults:
            self.lines.append(Line(number=None, text=f"{_option(fault.key)}: {fault.message}", option=True))

    def add_either(self, *faults: Fault) -> None:
        for fault in faults:
            (self.add_options if fault.key in self._given else self.add)(fault)


def _option(key: str) -> str:
    return "--cobbler-budget" if key == "budget_usd" else "--cobbler-" + key.replace("_", "-")


def _known(source: Source) -> tuple[dict[str, Any], list[Fault]]:
    """The values of known keys (an empty one means the default), and the errors of other keys."""
    values = {
        key: value for key, value in source.values.items() if value is not None and key in Config.model_fields
    }
    keys = dict.fromkeys(str(spot[0]) for spot in source.lines)
    return values, [
        Fault(key=key, message=_unknown_key(key)) for key in keys if key not in Config.model_fields
    ]


_MOST_MEANT = 3


def _unknown_key(key: str) -> str:
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).replace("-", "_").replace(" ", "_").lower()
    words = set(spelled.split("_"))
    parts = {name: set(name.split("_")) for name in Config.model_fields}
    # `image` is a part of podman_image and of gate_image, `claude_model` has model in it.
    near = [name for name, own in parts.items() if own <= words or words <= own]
    names = list(Config.model_fields)
    near = (
        difflib.get_close_matches(spelled[:100], names, n=1, cutoff=0.75)
        or (near if len(near) <= _MOST_MEANT else [])
        or difflib.get_close_matches(spelled[:100], names, n=1)
    )
    return f"unknown key; did you mean {' or '.join(near)}?" if near else "unknown key"


def _sound(values: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The valid part of ``values``, each key by itself, and the errors of the rest."""
    try:
        Config.model_validate(values, context=path)
    except ValidationError as error:
        faults = [fault for detail in error.errors(include_url=False) for fault in _faults(detail, values)]
        bad = {fault.key for fault in faults}
        return {key: value for key, value in values.items() if key not in bad}, faults
    return dict(values), []


def _faults(detail: Any, values: Mapping[str, Any]) -> Iterator[Fault]:
    key = str(detail["loc"][0])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Wrong):
        for at, message in cause.parts:
            yield Fault(key=key, at=at, message=message)
    elif detail["type"] == "extra_forbidden":
        yield Fault(key=key, message=_unknown_key(key))
    else:
        yield Fault(key=key, message=_not_allowed(key, values[key]))


def _not_allowed(key: str, value: object) -> str:
    allowed = next(
        (mark.words for mark in Config.model_fields[key].metadata if isinstance(mark, Allowed)), ""
    )
    return f"{shown(value)} is not allowed; allowed: {allowed}"

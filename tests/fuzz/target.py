"""A fuzz target, its inputs as JSON, and one execution of it under a tracer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from hypothesis.strategies import SearchStrategy

import pytest_cobbler

PACKAGE = str(Path(pytest_cobbler.__file__).parent)

Arc = tuple[str, int, int]
"""A module of the package, and two of its lines that ran one after the other; 0 is the start of a call."""

TraceFunction = Callable[[FrameType, str, Any], Any]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Code that reads what an agent, or a program of it, wrote.

    ``inputs`` makes inputs, which are values of JSON so that a file of the corpus can be read. ``run`` uses
    the code and checks what has to hold for every input: any exception of it is a finding. ``words`` are
    pieces of text that mean something to the code. ``steps`` is the most lines that run, as a constant and
    for each character of the input: the time has to be linear.
    """

    name: str
    inputs: SearchStrategy[Any]
    run: Callable[[Any], None]
    words: tuple[str, ...] = ()
    steps: tuple[int, int]


class Tracer:
    """Collects the arcs of the package that run, and counts its lines."""

    def __init__(self) -> None:
        self.arcs: set[Arc] = set()
        self.steps = 0
        self._modules: dict[CodeType, str] = {}

    def __enter__(self) -> Tracer:
        self._before = sys.gettrace()
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.settrace(self._before)

    def _enter_frame(self, frame: FrameType, _event: str, _argument: Any) -> TraceFunction | None:
        code = frame.f_code
        module = self._modules.get(code)
        if module is None:
            name = code.co_filename
            module = self._modules[code] = name[len(PACKAGE) + 1 :] if name.startswith(PACKAGE) else ""
        return self._in_frame(module) if module else None

    def _in_frame(self, module: str) -> TraceFunction:
        last = 0

        def take(frame: FrameType, event: str, _argument: Any) -> TraceFunction:
            nonlocal last
            if event == "line":
                line = frame.f_lineno
                self.arcs.add((module, last, line))
                last = line
                self.steps += 1
            return take

        return take


class TooManySteps(AssertionError):
    """An input takes more time than a constant for each of its characters."""


def execute(target: Target, data: Any) -> set[Arc]:
    """Run ``target`` once; the arcs that it reached.

    Raises:
        Exception: whatever ``target`` finds.
    """
    with Tracer() as tracer:
        target.run(data)
    constant, each = target.steps
    size = len(encode(data))
    if tracer.steps > constant + each * size:
        raise TooManySteps(f"{tracer.steps} lines ran for an input of {size} characters")
    return tracer.arcs


def encode(data: Any) -> str:
    """An input as a file of the corpus has it."""
    return json.dumps(data, indent=1) + "\n"


def to_bytes(text: str) -> bytes:
    """Text of an input as bytes: a lone surrogate of ``surrogateescape`` is the byte that it stands for."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """The text of which ``to_bytes`` makes ``data``."""
    return data.decode("utf-8", "surrogateescape")

"""Attacks by code that the gate runs. Every such gate fails at its end, so it must never pass."""

from __future__ import annotations

import platform
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pytest_cobbler.attacks.attack import Attack, Line
from pytest_cobbler.attacks.ground import ATTACKER, BRANCH, Ground, script_of
from pytest_cobbler.attacks.works import last_word
from pytest_cobbler.causes import Ending
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.languages import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.gate_checkout import GateCheckout
from pytest_cobbler.sandbox.base import Network

__all__ = ["try_gate"]

_LONGEST = 120.0
"""Seconds for a gate, also on a busy machine; it takes one or two."""

_REPORT = "out/report.xml"
"""The file of the gate's report, for the attacks on it."""

_JUNIT = '<testsuite><testcase classname="tests.test_a" name="test_b"/></testsuite>'
_LATER = 0.3
"""Seconds after which a process that should have ended would have written again."""

_FORGED = _JUNIT.replace("<testcase", '<testcase classname="tests.test_a" name="test_c"/><testcase', 1)


def try_gate(ground: Ground, attack: Attack, cancellation: Cancellation) -> Line:
    """Run the script as the test command of the gate."""
    if attack.name == "gate-network" and ground.target.gate.network is Network.OPEN:
        return Line(attack=attack, status="not tried", evidence="gate_network: open gives the gate a network")
    checkout = GateCheckout(ground.repository, f"{BRANCH}-{attack.name}", ground.target.sandbox.owner)
    try:
        path = checkout.move(_tree_of(ground, attack, checkout.path))
        before = _content(path)
        results = [_run(ground, attack, path, cancellation)]
        if attack.name.startswith("next-"):
            results.append(_run(ground, attack, path, cancellation))
        time.sleep(_LATER if attack.name == "late-change" else 0)
        changed = sorted(name for name, _ in set(before) ^ set(_content(path)))
    finally:
        checkout.remove()
    return _judged(ground, attack, results, changed)


def _run(ground: Ground, attack: Attack, path: Path, cancellation: Cancellation) -> GateResult:
    steps = _STEPS.get(attack.name, _steps)(attack.name)
    is_own = attack.name.startswith("report-") and not any(step.report for step in steps)
    report = _REPORT if is_own else ""
    gate = replace(
        ground.target.gate, steps=steps, directory="", timeout=_LONGEST, credentials=(), report=report
    )
    return gate.run(path, ground.target.place / f"{attack.name}.log", cancellation)


def _steps(name: str) -> tuple[Step, ...]:
    script = f"sh {name}.sh; exit 1"
    return (Step(name="test", argv=("sh", "-c", script), shown=script),)


def _green_steps(name: str) -> tuple[Step, ...]:
    return (Step(name="test", argv=("sh", f"{name}.sh"), shown=name),)


def _holding_steps(name: str) -> tuple[Step, ...]:
    """A test runner that keeps its report from the tests, and the tests, which are the attack."""
    script = "\n".join(
        [
            ': "${COBBLER_REPORT:=$HOME/cobbler-report.xml}"',
            f'printf %s {shlex.quote(_JUNIT)} >"$COBBLER_REPORT"',
            f"COBBLER_REPORT=$COBBLER_REPORT sh {name}.sh 7>&-; exit 1",
        ]
    )
    held = Step(
        name="test", argv=("sh", "-c", script), shown=name, report="~/cobbler-report.xml", holds_report=True
    )
    return (held,)


def _steps_after_build(name: str) -> tuple[Step, ...]:
    build = Step(name="build", argv=("sh", f"{name}.sh"), shown=name)
    script = (
        'rm -f left; sleep 0.3; [ ! -e left ] || { echo "got the process still writes"; exit 1; }\n'
        'echo "held no process is left"; exit 1'
    )
    return (build, Step(name="test", argv=("sh", "-c", script), shown="looks"))


_STEPS: Final[Mapping[str, Callable[[str], tuple[Step, ...]]]] = MappingProxyType(
    {
        "report-missing": _green_steps,  # without a report, what matters is a green gate
        "report-forged": _holding_steps,
        "left-by-build": _steps_after_build,
    }
)


def _judged(ground: Ground, attack: Attack, results: list[GateResult], changed: list[str]) -> Line:
    output = results[-1].output
    if attack.name.startswith("report-"):
        return _judged_by_report(attack, results[-1])
    if any(result.passed for result in results):
        return Line(attack=attack, status="NOT HELD", evidence="a gate that fails has passed")
    if changed:
        return Line(attack=attack, status="NOT HELD", evidence=f"the checkout changed: {', '.join(changed)}")
    if words := ground.read_words(output.encode()):
        return Line(attack=attack, status="NOT HELD", evidence=f"it read {', '.join(words)}")
    if ground.loopback.heard(attack.name):
        return Line(attack=attack, status="NOT HELD", evidence=f"it reached {ground.loopback.shown}")
    ends = results[-1].summary
    word, rest = last_word(output.encode())
    match word:
        case "got":
            return Line(attack=attack, status="NOT HELD", evidence=rest)
        case "held" | "tried":
            return Line(attack=attack, status="held", evidence=f"{ends}; {rest}")
        case "cannot":
            return Line(attack=attack, status="not tried", evidence=rest)
    if attack.name == "killed-judge":  # it may have ended itself before its last word
        return Line(attack=attack, status="held", evidence=ends)
    return Line(attack=attack, status="not tried", evidence=f"the script failed: {word} {rest}")


def _judged_by_report(attack: Attack, result: GateResult) -> Line:
    """The result by what the host believes of the tests that ran."""
    if attack.name == "report-forged" and result.tests and result.tests.summary == "1 passed":
        return Line(attack=attack, status="held", evidence="the report is the one of the test runner")
    if result.tests is not None:
        return Line(attack=attack, status="NOT HELD", evidence=f"the host believes: {result.tests.summary}")
    if result.cause != Ending.EXITED:
        return Line(attack=attack, status="NOT HELD", evidence=f"the host was kept busy: {result.summary}")
    word, said = last_word(result.output.encode())
    if word != "tried":
        return Line(attack=attack, status="not tried", evidence=said or "the script failed")
    return Line(attack=attack, status="held", evidence=result.unknown)


def _tree_of(ground: Ground, attack: Attack, path: Path) -> str:
    """The files of the tip with the script, and the program for its system calls."""
    repository = ground.repository
    variables = {**ground.variables(path), "JUNIT": _JUNIT, "FORGED": _FORGED}
    git = repository.objects.using(index=repository.work_dir / f"{attack.name}.index")
    git.run("read-tree", ground.tip)
    files = {f"{attack.name}.sh": ("100644", script_of(attack, variables).encode())}
    if attack.name == "report-missing":
        files[_REPORT] = ("100644", _JUNIT.encode())
    program = resources.files("pytest_cobbler") / "data" / "attacks" / f"call-{platform.machine()}"
    if program.is_file():
        files["attack-program"] = ("100755", program.read_bytes())
    lines = b""
    for name, (mode, content) in files.items():
        blob = git.text("hash-object", "-w", "--stdin", "--no-filters", stdin=content)
        lines += f"{mode} {blob}\t{name}\0".encode()
    git.run("update-index", "-z", "--index-info", stdin=lines)
    return repository.tree_of(repository.commit(git.text("write-tree"), [ground.tip], "Gate\n", ATTACKER))


def _content(path: Path) -> list[tuple[str, bytes]]:
    return sorted(
        (str(file.relative_to(path)), file.read_bytes()) for file in path.rglob("*") if file.is_file()
    )

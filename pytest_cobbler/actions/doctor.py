"""``--cobbler-doctor``: checks everything that a run needs; prints a table, or JSON (docs/doctor.md).

With ``--cobbler-attacks``, it then attacks what it has checked (docs/security.md).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from pytest_cobbler.attacks.attack import Line, every_attack
from pytest_cobbler.attacks.ground import Target
from pytest_cobbler.attacks.suite import ON_NODES, run_suite
from pytest_cobbler.config import Config, load
from pytest_cobbler.display import escaped, escaped_lines, shown_json
from pytest_cobbler.doctor.checks import Doctor
from pytest_cobbler.doctor.contained import Contained
from pytest_cobbler.doctor.examination import Finding, examine
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import (
    configuration_path,
    ended_by_signals,
    overrides,
    project_directory,
    wants_json,
)
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Capability, Network
from pytest_cobbler.secret_forms import Secrets

VERSION = 1
"""Of the JSON; a key that changes its meaning or goes away makes it another."""

_STATUS = 9
_NAME = 13
_TIME = 7
_ATTACK = 20
"""Widths of the columns."""

_INDENT = " " * (_STATUS + 2 + _NAME + 2 + _TIME + 2)


def run(config: pytest.Config) -> int:
    """Run every check whose needs are met; 0 if none failed, 1 if one failed, 2 if interrupted."""
    began = time.monotonic()
    as_table = not wants_json(config)
    findings: list[Finding] = []
    attacks: list[Line] | None = None
    waiting = _Waiting(enabled=as_table and sys.stdout.isatty())

    def settings() -> Config:
        return load(configuration_path(config, "--cobbler-doctor"), overrides(config))

    with Doctor(
        project_directory(config),
        settings,
        lambda loaded: project_hooks(config, loaded),
        live=bool(config.getoption("cobbler_live")),
    ) as doctor:

        def take(finding: Finding) -> None:
            findings.append(finding)
            if as_table:
                waiting.hide()
                _say("\n".join(_lines(finding, Secrets(doctor.secrets).scrub_text)))

        try:
            with ended_by_signals():
                examine(doctor.checks(), take, waiting.show)
                if config.getoption("cobbler_attacks"):
                    attacks = [*_attacked(doctor, as_table, waiting)]
        except KeyboardInterrupt:
            waiting.hide()
            sys.stderr.write("interrupted\n")
            return pytest.ExitCode.INTERRUPTED
        scrub = Secrets(doctor.secrets).scrub_text
    seconds = time.monotonic() - began
    if as_table:
        _say(_summary(findings, attacks, seconds))
    else:
        _say(shown_json(_as_json(findings, attacks, seconds, scrub)))
    return pytest.ExitCode.TESTS_FAILED if _has_failed(findings, attacks) else pytest.ExitCode.OK


class _Waiting:
    """A line on a terminal with what runs: the gate on the tip, or a job with many attacks, takes minutes."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled

    def show(self, name: str) -> None:
        if self._enabled:
            sys.stdout.write(f"{'...':{_STATUS}}  {name}")
            sys.stdout.flush()

    def hide(self) -> None:
        if self._enabled:
            sys.stdout.write("\r\x1b[2K")


def _has_failed(findings: Sequence[Finding], attacks: Sequence[Line] | None) -> bool:
    """Whether a check failed, an attack got through, or none could be tried."""
    if any(finding.status == "failed" for finding in findings):
        return True
    if attacks is None:
        return False
    return any(line.got_through for line in attacks) or all(line.status == "not tried" for line in attacks)


def _attacked(doctor: Doctor, as_table: bool, waiting: _Waiting) -> Iterator[Line]:
    """Try every attack, and print each result as it comes."""
    parts = doctor.contained
    if parts is None:
        why = "jobs are not contained (sandbox: none), or a check that attacks need has failed"
        lines: Iterable[Line] = (
            Line(attack=attack, status="not tried", evidence=why) for attack in every_attack()
        )
    else:
        lines = run_suite(_target_of(parts), Cancellation())
        if parts.nodes and as_table:
            _say(f"The attacks {', '.join(ON_NODES)} are tried on nodes, the others on this machine.")
    waiting.show("attacks")
    for tried, line in enumerate(lines, start=1):
        if as_table:
            waiting.hide()
            _say(_attack_line(line))
        yield line
        waiting.show(f"attacks ({tried} tried)")
    waiting.hide()


def _target_of(parts: Contained) -> Target:
    config = parts.config
    proxied = (
        config.agent != "replay"
        and config.agent_network == "proxy"
        and Capability.LOOPBACK in parts.sandbox.capabilities
    )
    return Target(
        place=parts.place,
        sandbox=parts.sandbox,
        network=Network.OPEN if config.agent_network == "open" else Network.NONE,
        proxied=proxied,
        gate=parts.gate,
        mortal=parts.mortal,
        witness=parts.witness,
        shared=parts.shared,
        nodes=parts.nodes,
    )


def _attack_line(line: Line) -> str:
    attack = line.attack
    holds = attack.holds if line.status == "held" else ""
    seen = f"{holds} ({line.evidence})" if holds and line.evidence else holds or line.evidence
    return escaped(
        f"{line.status:{_STATUS}}  {attack.family:7}  {attack.name:{_ATTACK}}  {attack.tries}: {seen}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _lines(finding: Finding, scrub: Callable[[str], str]) -> list[str]:
    """A line with status, name, time and text; below it the fix and the evidence."""
    status = finding.status.upper() if finding.status == "failed" else finding.status
    seconds = "" if finding.seconds is None else f"{finding.seconds:.2f} s"
    first = f"{status:{_STATUS}}  {finding.name:{_NAME}}  {seconds:>{_TIME}}  {scrub(finding.text)}"
    below = [*finding.remedy.splitlines(), *(f"  {line}" for line in finding.evidence.splitlines())]
    return [
        escaped(first.rstrip()),
        *(_INDENT + escaped_lines(scrub(line)) for line in below if line.strip()),
    ]


def _summary(findings: Sequence[Finding], attacks: Sequence[Line] | None, seconds: float) -> str:
    words = ("ok", "warning", "off", "failed", "not tried")
    checks = _counts([finding.status for finding in findings], words)
    if attacks is None:
        return f"{checks} in {seconds:.1f} s"
    tried = _counts([line.status for line in attacks], ("held", "NOT HELD", "not tried"))
    return f"checks: {checks}; attacks: {tried}; in {seconds:.1f} s"


def _counts(found: Sequence[str], words: Sequence[str]) -> str:
    return ", ".join(f"{count} {word}" for word in words if (count := found.count(word)))


def _as_json(
    findings: Sequence[Finding], attacks: Sequence[Line] | None, seconds: float, scrub: Callable[[str], str]
) -> dict[str, Any]:
    """The JSON that docs/doctor.md describes."""
    return {
        "version": VERSION,
        "ok": not _has_failed(findings, attacks),
        "seconds": round(seconds, 2),
        "checks": [
            {
                "name": finding.name,
                "status": finding.status,
                "text": scrub(finding.text),
                "remedy": scrub(finding.remedy),
                "evidence": scrub(finding.evidence),
                "seconds": None if finding.seconds is None else round(finding.seconds, 2),
            }
            for finding in findings
        ],
        **({} if attacks is None else {"attacks": [_attack_as_json(line) for line in attacks]}),
    }


def _attack_as_json(line: Line) -> dict[str, Any]:
    attack = line.attack
    return {
        "name": attack.name,
        "family": attack.family,
        "status": line.status,
        "tries": attack.tries,
        "holds": attack.holds,
        "evidence": line.evidence,
        "like": list(attack.like),
    }

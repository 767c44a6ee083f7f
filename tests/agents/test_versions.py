"""The versions of the agents' programs: of the one in the image, and of the one that was tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.described import DescribedAgent
from pytest_cobbler.errors import CobblerError
from tests.support.documents import ROOT
from tests.support.jobs import own_host
from tests.support.real_agents import DESCRIPTIONS
from tests.support.workplaces import KEY


@pytest.mark.parametrize("name", list(DESCRIPTIONS))
def test_the_tested_version_is_the_one_that_ci_installs(name: str) -> None:
    pinned = f"{name.upper()}_VERSION={DESCRIPTIONS[name].tested}\n"
    assert pinned in (ROOT / ".ci" / "run").read_text("utf-8")


def test_a_program_that_needs_a_missing_one_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "gemini"
    script.write_text("#!/usr/bin/env no-such-node\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    agent = DescribedAgent(DESCRIPTIONS["gemini"], Access(credential=KEY))

    with pytest.raises(CobblerError) as caught:
        agent.preflight(own_host())

    assert caught.value.cause == "agent: cannot use gemini: gemini --version exited with 127"
    assert "no-such-node" in caught.value.evidence
    assert "which needs node" in caught.value.remedy
    script.unlink()
    with pytest.raises(CobblerError, match="cannot use gemini: it is not in the sandbox"):
        agent.preflight(own_host())


@pytest.mark.parametrize("name", list(DESCRIPTIONS))
@pytest.mark.parametrize(
    ("printed", "version", "is_old"),
    [
        ("program 0.0.3 (Old)", "0.0.3", True),
        ("warning: slow\nprogram-cli v99.1.0", "99.1.0", False),
        ("none", "", False),
        ("", "", False),
    ],
)
def test_an_older_program_than_the_tested_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, printed: str, version: str, is_old: bool
) -> None:
    script = tmp_path / name
    script.write_text(f"#!/bin/sh\nprintf '%s\\n' '{printed}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    described = DESCRIPTIONS[name]
    agent = DescribedAgent(described, Access(credential=KEY))

    agent.preflight(own_host())

    assert agent.version == version
    old = f"{name} 0.0.3 is older than {described.tested}, the version that was tested"
    assert agent.outdated == (old if is_old else "")

"""The versions of the agents' programs: of the one in the image, and of the one that was tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.described import DescribedAgent
from tests.support.documents import ROOT
from tests.support.jobs import own_host
from tests.support.real_agents import DESCRIPTIONS
from tests.support.workplaces import KEY


@pytest.mark.parametrize("name", list(DESCRIPTIONS))
def test_the_tested_version_is_the_one_that_ci_installs(name: str) -> None:
    pinned = f"{name.upper()}_VERSION={DESCRIPTIONS[name].tested}\n"
    assert pinned in (ROOT / ".ci" / "run").read_text("utf-8")


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

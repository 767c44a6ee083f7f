"""The agent that a first configuration has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pytest_cobbler.config import load
from pytest_cobbler.wiring.api import credential_of
from pytest_cobbler.wiring.suggesting import PROGRAMS, suggest
from tests.support.documents import ROOT

KEYS = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY", "GEMINI_API_KEY")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("programs", "key", "values"),
    [
        (PROGRAMS, "ANTHROPIC_API_KEY", {}),
        (PROGRAMS, "CLAUDE_CODE_OAUTH_TOKEN", {}),
        (PROGRAMS, "OPENAI_API_KEY", {"agent": "codex"}),
        (PROGRAMS, "GEMINI_API_KEY", {"agent": "opencode", "agent_api": "gemini"}),
        (("opencode",), "ANTHROPIC_API_KEY", {"agent": "opencode"}),
        (("opencode",), "OPENAI_API_KEY", {"agent": "opencode", "agent_api": "responses"}),
        (("claude", "gemini"), "GEMINI_API_KEY", {"agent": "gemini"}),
    ],
)
def test_the_agent_is_one_whose_key_is_here_and_its_configuration_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: tuple[str, ...], key: str, values: object
) -> None:
    monkeypatch.setenv(key, "sk-0123456789")

    suggested = suggest(programs, tmp_path)

    assert suggested.values == values
    assert suggested.found == f"{key} in the environment"
    path = tmp_path / "configuration.yaml"
    path.write_text(yaml.safe_dump({"podman_image": "localhost/agent", **suggested.values}))
    credential = credential_of(load(path))
    assert credential is not None
    assert credential.value == "sk-0123456789"


def test_a_login_in_a_file_is_that_of_claude(tmp_path: Path) -> None:
    (tmp_path / ".secrets").mkdir()
    file = tmp_path / ".secrets" / "claude.json"
    file.write_text(json.dumps({"claudeAiOauth": {"accessToken": "sk-ant-oat01-0123456789"}}))

    assert suggest(PROGRAMS, tmp_path).found == str(file)
    assert suggest(("opencode",), tmp_path).found == ""

    file.write_text("broken")
    assert suggest(PROGRAMS, tmp_path).found == ""


@pytest.mark.parametrize("program", PROGRAMS)
def test_without_a_key_the_first_program_is_chosen_and_its_page_exists(tmp_path: Path, program: str) -> None:
    suggested = suggest((program, *PROGRAMS), tmp_path)

    assert (suggested.agent, suggested.found) == (program, "")
    page, _, section = suggested.page.partition("#")
    assert f"\n## {section}\n" in (ROOT / page).read_text("utf-8")

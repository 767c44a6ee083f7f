from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.credential import Credential, credential_for, find_credential
from pytest_cobbler.errors import UsageProblem


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "claude.json"


def stored(token_file: Path, content: Any) -> Path:
    token_file.write_text(json.dumps(content))
    return token_file


def login(expires_in: float = 3600.0) -> dict[str, Any]:
    return {
        "claudeAiOauth": {
            "accessToken": "sk-ant-oat01-access",
            "refreshToken": "sk-ant-ort01-refresh",
            "expiresAt": int((time.time() + expires_in) * 1000),
            "scopes": ["user:inference"],
        }
    }


def test_nothing_is_found(token_file: Path) -> None:
    assert find_credential({}, token_file) is None
    assert find_credential({"ANTHROPIC_API_KEY": "  "}, token_file, {}) is None


@pytest.mark.parametrize(
    ("name", "kind"), [("ANTHROPIC_API_KEY", "api_key"), ("CLAUDE_CODE_OAUTH_TOKEN", "oauth")]
)
def test_found_in_the_environment(token_file: Path, name: str, kind: str) -> None:
    found = find_credential({name: "the-secret\n"}, token_file)

    assert found is not None
    assert found.kind == kind
    assert found.environment() == {name: "the-secret"}
    assert found.secrets() == ("the-secret",)
    assert found.source == f"{name} in the environment"


@pytest.mark.parametrize("value", ["sk-first\nsk-second", "sk-with blank", "sk-\u2026"])
def test_a_variable_that_no_header_can_have_is_an_error_without_its_value(
    token_file: Path, value: str
) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        with pytest.raises(UsageProblem, match=f"{name} in the environment is not a key") as caught:
            credential_for(name, {name: value}, token_file)
        assert "sk-" not in str(caught.value) + caught.value.remedy


def test_a_key_stored_in_a_file(token_file: Path) -> None:
    found = find_credential({}, stored(token_file, {"api_key": "the-secret"}))

    assert found is not None
    assert found.environment() == {"ANTHROPIC_API_KEY": "the-secret"}
    assert found.source == str(token_file)


def test_a_login_stored_by_claude(token_file: Path) -> None:
    found = find_credential({}, stored(token_file, login()))

    assert found is not None
    assert found.environment() == {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-access"}
    assert found.secrets() == ("sk-ant-oat01-access", "sk-ant-ort01-refresh")


def test_the_environment_comes_before_podman_args_and_those_before_the_file(token_file: Path) -> None:
    stored(token_file, {"api_key": "from-file"})
    lifted = {"CLAUDE_CODE_OAUTH_TOKEN": "from-podman-args"}

    first = find_credential({"ANTHROPIC_API_KEY": "from-environment"}, token_file, lifted)
    second = find_credential({}, token_file, lifted)
    third = find_credential({}, token_file, {"OTHER": "x"})

    assert [found and found.value for found in (first, second, third)] == [
        "from-environment",
        "from-podman-args",
        "from-file",
    ]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\udcff", "is not JSON"),
        ("[]", "contains no credential"),
        ('{"api_key": 5}', "contains no credential"),
        ('{"claudeAiOauth": {"accessToken": ""}}', "contains no credential"),
        ('{"claudeAiOauth": "the-secret"}', "contains no credential"),
    ],
)
def test_an_unusable_file_is_an_error_that_says_what_is_wanted(
    token_file: Path, content: str, cause: str
) -> None:
    token_file.write_bytes(content.encode("utf-8", "surrogateescape"))

    with pytest.raises(UsageProblem, match=cause) as caught:
        find_credential({}, token_file)

    assert "api_key" in caught.value.remedy
    assert "the-secret" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot read"):
        find_credential({}, tmp_path)


def test_an_expired_login_is_an_error(token_file: Path) -> None:
    with pytest.raises(UsageProblem, match="expired on") as caught:
        find_credential({}, stored(token_file, login(expires_in=-60)))

    assert "setup-token" in caught.value.remedy
    assert "sk-ant" not in str(caught.value)


@pytest.mark.parametrize("expires", [None, "soon", 10**30, True])
def test_an_unreadable_date_of_expiry_is_no_error(token_file: Path, expires: Any) -> None:
    content = login()
    content["claudeAiOauth"]["expiresAt"] = expires

    assert find_credential({}, stored(token_file, content)) is not None


def test_the_credential_is_never_shown(token_file: Path) -> None:
    found = find_credential({}, stored(token_file, login()))

    assert "sk-ant" not in repr(found)
    assert "sk-ant" not in str(found)


@pytest.mark.parametrize("kind", ["api_key", "oauth"])
def test_a_stand_in_is_of_the_same_kind_and_worthless(kind: Any) -> None:
    real = Credential(kind=kind, value="the-secret", source="the test", refresh_token="also-secret")

    stand_in = real.stand_in()

    assert stand_in.environment().keys() == real.environment().keys()
    assert not set(stand_in.secrets()) & set(real.secrets())

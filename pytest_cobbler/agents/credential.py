"""Finds the credential of the agent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pytest_cobbler.errors import UsageProblem

__all__ = [
    "BETA",
    "RENEWAL",
    "VARIABLES",
    "Credential",
    "credential_for",
    "find_credential",
    "key_of",
    "no_credential",
    "stand_in_for",
    "variables_of",
]

Kind = Literal["api_key", "oauth"]

VARIABLES: Mapping[str, Kind] = {"ANTHROPIC_API_KEY": "api_key", "CLAUDE_CODE_OAUTH_TOKEN": "oauth"}
"""Environment variables that hold a credential; the first that is set is used."""

_VARIABLE_OF = {kind: name for name, kind in VARIABLES.items()}

BETA = "anthropic-beta"
"""The header with the versions of the API that a request asks for."""

_BETA_OF_LOGINS = "oauth-2025-04-20"
"""Without it the API refuses a login with status 401, as if the login itself were invalid."""

_KEY = re.compile(r"[!-~]+")
_TIME = "%Y-%m-%d at %H:%M UTC"

RENEWAL = (
    "Log in again with claude and copy its credentials file, or make a long-lived token with\n"
    "`claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN in the environment."
)

_SHAPES = (
    'Put {"api_key": "..."} into it, or the "claudeAiOauth" object that the claude program stores at login,\n'
    "or set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN in the environment."
)


@dataclass(frozen=True, kw_only=True)
class Credential:
    """An API key or an OAuth token; claude behaves differently with each.

    ``source`` is the place where it was found; ``refresh_token`` belongs to it and is as secret; ``expires``
    is the time when it expires, if known. ``variable`` passes it to the program, if it is not one of
    Anthropic's.
    """

    kind: Kind
    value: str = field(repr=False)
    source: str
    refresh_token: str = field(default="", repr=False)
    expires: datetime | None = None
    variable: str = ""

    def environment(self) -> dict[str, str]:
        """The variables that pass it to the program."""
        return {self.variable or _VARIABLE_OF[self.kind]: self.value}

    def headers(self, betas: Iterable[str] = ()) -> dict[str, str]:
        """The headers of a request, with names in lower case, that show it to the API.

        Args:
            betas: values of the header ``BETA`` of the request. An agent must not make a login invalid for
                the whole run by what it leaves out there.
        """
        if self.kind == "api_key":
            return {"x-api-key": self.value}
        asked = (name.strip() for value in (*betas, _BETA_OF_LOGINS) for name in value.split(","))
        return {"authorization": f"Bearer {self.value}", BETA: ",".join(dict.fromkeys(filter(None, asked)))}

    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear in any file or message."""
        return tuple(value for value in (self.value, self.refresh_token) if value)

    @property
    def shown(self) -> str:
        """Kind, source and expiry for people, without the value."""
        kind = "an API key" if self.kind == "api_key" else "a login"
        end = f", until {self.expires:{_TIME}}" if self.expires else ""
        return f"{kind}, from {self.source}{end}"

    def ends_within(self, seconds: float) -> bool:
        """Whether it is known to expire within that time."""
        return self.expires is not None and self.expires <= datetime.now(UTC) + timedelta(seconds=seconds)

    def stand_in(self) -> Credential:
        """A worthless credential of the same kind, to be used in place of the real one."""
        prefix = "sk-ant-oat01-" if self.kind == "oauth" else "sk-" if self.variable else "sk-ant-api03-"
        value = f"{prefix}stand-in-{'0' * 64}"
        return Credential(kind=self.kind, value=value, source="stand-in", variable=self.variable)


def find_credential(
    environment: Mapping[str, str], token_path: Path, lifted: Mapping[str, str] | None = None
) -> Credential | None:
    """The credential, or ``None`` if there is none.

    Args:
        environment: searched first, for the names in ``VARIABLES``.
        lifted: variables taken from ``podman_args``; searched next.
        token_path: a JSON file with ``api_key`` or ``claudeAiOauth``; read last.

    Raises:
        UsageProblem: the file exists but is unusable, or its token has expired.
    """
    for variables, where in ((environment, "the environment"), (lifted or {}, "podman_args")):
        for name, kind in VARIABLES.items():
            if value := _plain(variables, name, where):
                return Credential(kind=kind, value=value, source=f"{name} in {where}")
    return _from_file(token_path)


def credential_for(
    key: str, environment: Mapping[str, str], token_path: Path, lifted: Mapping[str, str] | None = None
) -> Credential | None:
    """The credential for the API whose key is in the variable ``key``; ``None`` if there is none.

    Only Anthropic's may be in other places than the environment: see :func:`find_credential`.

    Raises:
        UsageProblem: there is one, and it cannot be used.
    """
    return find_credential(environment, token_path, lifted) if key in VARIABLES else key_of(environment, key)


def variables_of(key: str) -> tuple[str, ...]:
    """The variables of the environment that may have the credential for the API of ``key``."""
    return tuple(VARIABLES) if key in VARIABLES else (key,)


def stand_in_for(key: str) -> Credential:
    """A worthless credential for the API of ``key``."""
    variable = "" if key in VARIABLES else key
    return Credential(kind="api_key", value="", source="", variable=variable).stand_in()


def key_of(environment: Mapping[str, str], variable: str) -> Credential | None:
    """The key of another API than Anthropic's; ``None`` if there is none.

    Raises:
        UsageProblem: no header of a request can have it.
    """
    value = _plain(environment, variable, "the environment")
    source = f"{variable} in the environment"
    return Credential(kind="api_key", value=value, source=source, variable=variable) if value else None


def _plain(variables: Mapping[str, str], name: str, where: str) -> str:
    """The value of a variable, without blanks around it."""
    value = variables.get(name, "").strip()
    if value and not _KEY.fullmatch(value):
        raise UsageProblem(
            f"{name} in {where} is not a key: it has blanks, line breaks or characters beyond ASCII",
            "Copy the key again.",
        )
    return value


def no_credential(key: str = "ANTHROPIC_API_KEY") -> UsageProblem:
    """The error if an agent has no credential for the API of ``key``."""
    if key not in VARIABLES:
        return UsageProblem("the agent has no credential", f"Set {key} in the environment of pytest.")
    return UsageProblem(
        "agent: claude has no credential",
        "Set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN (made by `claude setup-token`) in the\n"
        "environment, or put the credential into the file that secrets_dir and token_file name.",
    )


def _from_file(path: Path) -> Credential | None:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageProblem(f"cannot read {path}: {error.strerror}", _SHAPES) from error
    except (ValueError, RecursionError):
        # Not chained: the error contains the text of the file.
        raise UsageProblem(f"{path} is not JSON", _SHAPES) from None
    content = content if isinstance(content, dict) else {}
    if key := _string(content, "api_key"):
        return Credential(kind="api_key", value=key, source=str(path))
    login = content.get("claudeAiOauth")
    login = login if isinstance(login, dict) else {}
    token = _string(login, "accessToken")
    if not token:
        raise UsageProblem(f"{path} contains no credential", _SHAPES)
    expires = _time(login.get("expiresAt"))
    if expires and expires <= datetime.now(UTC):
        raise UsageProblem(f"the login in {path} expired on {expires:{_TIME}}", RENEWAL)
    return Credential(
        kind="oauth",
        value=token,
        source=str(path),
        refresh_token=_string(login, "refreshToken"),
        expires=expires,
    )


def _time(milliseconds: object) -> datetime | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _string(content: Mapping[str, object], key: str) -> str:
    value = content.get(key)
    return value.strip() if isinstance(value, str) else ""

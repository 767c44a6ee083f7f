"""``podman_args``: the arguments of ``podman run`` that a configuration may use.

An allow-list: whatever is not known to keep the host to itself needs ``unsafe_podman_args: true``.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from pytest_cobbler.config.faults import Wrong, printable, shown
from pytest_cobbler.config.paths import real, repository_of, root_of
from pytest_cobbler.config.texts import each, text

CREDENTIALS = frozenset({"ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"})
"""Variables with the agent's credential: they are removed from the arguments."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A requested mount; ``source`` has no symbolic links."""

    index: int
    source: Path
    options: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Unsafe:
    """The access that the element at ``index`` would give, and its flag."""

    index: int
    flag: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PodmanArguments:
    """The parsed ``podman_args``. ``arguments`` has no secrets, and ``repr`` shows no value.

    ``environment`` is for the container's variables, ``credentials`` for the agent's, neither for a
    command line. ``assigned``: variable -> the element with its value, for values that are written here.
    ``wrong`` are elements (index, what) that are not arguments or have values that their flags do not take;
    ``unsafe`` is what only ``unsafe_podman_args`` allows.
    """

    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    assigned: Mapping[str, int] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    unsafe: tuple[Unsafe, ...] = ()
    wrong: tuple[tuple[int, str], ...] = ()


class _NotAllowed(Exception):
    """A known flag with a value that gives access to more than is allowed."""


_Check = Callable[[str], str]
"""From a flag's value to the value to pass on; raises ``Wrong`` or ``_NotAllowed``."""


def _matching(pattern: str, example: str) -> _Check:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise Wrong(f"{shown(value)} is not allowed; for example: {example}")
        return value

    return check


def _limit(check: _Check) -> _Check:
    """``check`` of a limit. podman reads 0 and -1 as no limit, so both are rejected."""

    def limit(value: str) -> str:
        if re.fullmatch(r"-1|0+[a-zA-Z]?", value):
            raise _NotAllowed("is not a limit")
        return check(value)

    return limit


def _ulimit(value: str) -> str:
    if value == "host" or "-1" in value:
        raise _NotAllowed("is not a limit")
    return _matching(r"[a-z]{2,12}=[0-9]{1,18}(:[0-9]{1,18})?", "nofile=4096:8192")(value)


def _tmpfs(value: str) -> str:
    target, _, options = value.partition(":")
    _check_target(target)
    known = r"ro|rw|exec|noexec|nosuid|nodev|size=[0-9]{1,18}[kmgKMG%]?|mode=[0-7]{3,4}"
    for option in options.split(",") if options else ():
        if not re.fullmatch(known, option):
            raise _NotAllowed(f"the option {shown(option)} is not in the list of allowed ones")
    return value


def _host(value: str) -> str:
    _, _, address = value.partition(":")
    if address == "host-gateway":
        raise _NotAllowed("leads to the services of the host")
    check = _matching(r"[A-Za-z0-9._-]+:[0-9A-Fa-f.:\[\]]+", "name:192.0.2.1")
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return check("")
    return check(value)


_SIZE = _matching(r"[0-9]{1,18}[bkmgBKMG]?", "512m")
_FLAGS: Mapping[str, _Check] = {
    "--memory": _limit(_SIZE),
    "--memory-swap": _limit(_SIZE),
    "--shm-size": _limit(_SIZE),
    "--cpus": _limit(_matching(r"[0-9]{1,4}(\.[0-9]{1,4})?", "1.5")),
    "--pids-limit": _limit(_matching(r"[0-9]{1,9}", "2048")),
    "--ulimit": _ulimit,
    "--tmpfs": _tmpfs,
    "--hostname": _matching(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62})", "builder"),
    "--add-host": _host,
}
_SHORT = {"-e": "--env", "-v": "--volume", "-m": "--memory", "-h": "--hostname"}
_ALLOWED = ("--env", "--volume", *_FLAGS)

_ALONE = frozenset(
    ("--privileged", "--rm", "-i", "-t", "-it", "-ti", "-d", "--interactive", "--tty", "--detach")
)
"""Common flags without a value: the next word is another argument."""

_SET_HERE = "is set by cobbler itself: leave it out"
_REASONS: Mapping[str, str] = {
    **dict.fromkeys(
        ("--rm", "-i", "--interactive", "-d", "--detach", "-t", "--tty", "-it", "-ti"), _SET_HERE
    ),
    **dict.fromkeys(("-w", "--workdir", "--entrypoint", "--name", "--pull", "--log-driver"), _SET_HERE),
    **dict.fromkeys(("-u", "--user", "--userns", "--cap-drop", "--security-opt"), _SET_HERE),
    **dict.fromkeys(("--network", "--net"), "is set by the keys agent_network and gate_network"),
    "--timeout": "is set by the keys task_timeout and gate_timeout",
    "--privileged": "gives access to the host",
    "--pid": "gives access to the host's processes",
    "--env-host": "passes on the host's environment",
    "--env-file": "is not allowed: name each variable with -e",
    "--device": "gives access to a device of the host",
    "--mount": "is not allowed: use -v",
    "--cidfile": "writes files on the host",
    "--pidfile": "writes files on the host",
    "--log-opt": "writes files on the host",
}


def parse(value: object, root: Path) -> PodmanArguments:
    """Parse ``podman_args``.

    Raises:
        Wrong: it is not a list of texts. No message holds a variable's value.
    """
    if isinstance(value, PodmanArguments):
        return value
    if not isinstance(value, list | tuple):
        raise Wrong("not a list; write one argument or value a line, each after a dash")
    return _Parsing(each(value, _element), root).result()


def _element(value: object) -> str:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        element = text(value)
        if element:
            return element
    raise Wrong("not an argument: every element must be text")


class _Parsing:
    def __init__(self, words: tuple[str, ...], root: Path) -> None:
        self._words = words
        self._root = root
        self._arguments: list[str] = []
        self._environment: dict[str, str] = {}
        self._credentials: dict[str, str] = {}
        self._assigned: dict[str, int] = {}
        self._volumes: list[Volume] = []
        self._unsafe: list[Unsafe] = []
        self._wrong: list[tuple[int, str]] = []

    def result(self) -> PodmanArguments:
        for index, flag, value in self._flags():
            try:
                self._take(index, flag, value)
            except Wrong as wrong:
                self._wrong.append((index, f"{flag}: {wrong}"))
            except _NotAllowed as reason:
                self._pass_on(index, flag, value, str(reason))
        return PodmanArguments(
            arguments=tuple(self._arguments),
            environment=self._environment,
            credentials=self._credentials,
            assigned=self._assigned,
            volumes=tuple(self._volumes),
            unsafe=tuple(self._unsafe),
            wrong=tuple(self._wrong),
        )

    def _flags(self) -> Iterator[tuple[int, str, str | None]]:
        """Index, flag and value of each argument, in all forms that podman accepts."""
        index = 0
        while index < len(self._words):
            word = self._words[index]
            flag, value = _split(word)
            used = 1
            if not flag:
                self._wrong.append((index, _NO_FLAG))
            elif value is not None and value[:1].isspace():
                self._wrong.append((index, f"{flag}: flag and value are one element; write two"))
            else:
                following = self._words[index + 1 : index + 2]
                if value is None and flag not in _ALONE and following and _may_be_value(flag, following[0]):
                    value, used = following[0], 2
                yield index, flag, value
            index += used

    def _take(self, index: int, flag: str, value: str | None) -> None:
        known = flag in _ALLOWED
        if known and value is None:
            raise Wrong("its value is missing")
        if flag == "--env":
            self._take_variable(index, value or "")
        elif flag == "--volume":
            self._take_volume(index, value or "")
        elif known:
            self._arguments.append(f"{flag}={_FLAGS[flag](value or '')}")
        else:
            self._pass_on(index, flag, value, _REASONS.get(flag, "is not in the list of allowed arguments"))

    def _pass_on(self, index: int, flag: str, value: str | None, reason: str) -> None:
        self._unsafe.append(Unsafe(index=index, flag=flag, reason=reason))
        if value is None:
            self._arguments.append(flag)
        elif flag.startswith("--"):
            self._arguments.append(f"{flag}={value}")
        else:
            self._arguments.extend((flag, value))

    def _take_variable(self, index: int, written: str) -> None:
        name, assigned, value = written.partition("=")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", name):
            raise Wrong("not the name of a variable; for example: -e NAME=VALUE, or -e NAME to pass NAME on")
        if assigned:
            self._assigned[name] = index
        else:
            if name not in os.environ:
                return
            value = os.environ[name]
            self._assigned.pop(name, None)
        target = self._credentials if name in CREDENTIALS else self._environment
        target[name] = value

    def _take_volume(self, index: int, written: str) -> None:
        volume, target = _volume(index, written, self._root)
        self._volumes.append(volume)
        argument = ":".join(
            [str(volume.source), target, *([",".join(sorted(volume.options))] if volume.options else [])]
        )
        reason = _given_away(volume, self._root)
        if reason:
            self._pass_on(index, "--volume", argument, f"gives access to {reason}")
        else:
            self._arguments.append(f"--volume={argument}")


_NO_FLAG = "not a flag (the image is the key podman_image, the agent's arguments are claude_args)"


def _split(word: str) -> tuple[str, str | None]:
    """The flag (its long form, if there is one) and its attached value; no flag for other words."""
    long = re.match(r"--[A-Za-z][A-Za-z0-9-]*(?=[=\s]|$)", word)
    if long:
        rest = word[long.end() :]
        return long.group(), rest.removeprefix("=") if rest else None
    if not re.match(r"-[A-Za-z]", word):
        return "", None
    short, rest = word[:2], word[2:]
    if short in _SHORT:
        return _SHORT[short], rest.removeprefix("=") if rest else None
    if re.fullmatch(r"-[A-Za-z]{1,5}", word):
        return word, None
    return short, rest.removeprefix("=")


def _may_be_value(flag: str, word: str) -> bool:
    return flag in _ALLOWED or not word.startswith("-")


def _volume(index: int, written: str, root: Path) -> tuple[Volume, str]:
    """The volume and its target."""
    source, *rest = written.split(":")
    if not 1 <= len(rest) <= 2 or not source or not written.isprintable():
        raise Wrong(f"{shown(written)} is not allowed; for example: ./cache:/cache:ro")
    target = rest[0]
    _check_target(target)
    if not source.startswith(("/", "./", "../")) and source not in (".", ".."):
        raise _NotAllowed(f"{shown(source)} is a named volume; for a directory write ./{printable(source)}")
    path = real(root / source)
    try:
        path.lstat()
    except OSError:
        raise Wrong(f"{shown(source)} does not exist") from None
    options = frozenset(rest[1].split(",")) if len(rest) == 2 else frozenset()
    if {"ro", "rw"} <= options:
        raise Wrong(f"{shown(written)} is both ro and rw")
    return Volume(index=index, source=path, options=options), target


def _check_target(target: str) -> None:
    parts = [part for part in target.split("/") if part not in ("", ".")]
    system = parts[:1] in (["proc"], ["sys"], ["dev"]) and not (parts[:2] == ["dev", "shm"] and parts[2:])
    if not target.startswith("/") or ".." in parts or not parts or system:
        raise Wrong(f"{shown(target)} is not a place in a container to mount at")


_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/run", "/var/run", "/boot", "/root", "/var/lib/containers")
_PERSONAL = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".config", ".docker", ".kube", ".claude", ".claude.json", ".netrc"),
    *(".git-credentials", ".gitconfig", ".npmrc", ".pypirc", ".password-store", ".cargo/credentials.toml"),
    *(".local/share/keyrings", ".local/share/containers", ".bash_history"),
)
"""Below the home directory."""


def _given_away(volume: Volume, root: Path) -> str:
    """The access that a volume gives beyond files of the repository and read-only files; empty if none."""
    source = volume.source
    if not (stat.S_ISDIR(source.lstat().st_mode) or stat.S_ISREG(source.lstat().st_mode)):
        return f"{source}, which is not a file or directory but a socket, device or pipe of the host"
    base = real(root)
    below = source.is_relative_to(base)
    for place in _private_places():
        if str(place) == "/dev" and Path("/dev/shm") in source.parents:  # files in memory, not devices
            continue
        if overlap(source, place) and not (below and base.is_relative_to(place)):
            return f"{source}" if source.is_relative_to(place) else f"{source}, which holds {place}"
    if overlap(source, real(repository_of(root)) / ".git"):
        return f"{source}, which is or holds git's own directory"
    if not below and not volume.options & {"ro", "O"}:
        return f"{source}, which is outside the repository and writable (read-only is allowed: add :ro)"
    if unknown := volume.options - {"ro", "rw", "O"} - ({"z"} if below else set()):
        return f"{source} with the option {shown(min(unknown))} (allowed: ro, rw, O; and z in the repository)"
    return ""


def overlap(one: Path, other: Path) -> bool:
    """Whether one of the two contains the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def _private_places() -> Iterator[Path]:
    try:
        home = real(Path.home())
    except RuntimeError:  # this user has none
        home = Path("/root")
    yield from (Path(place) for place in _SYSTEM if Path(place) != home)
    yield from (home / name for name in _PERSONAL)


def _validate(value: object, info: ValidationInfo) -> PodmanArguments:
    return parse(value, root_of(info))


PodmanArgumentsField = Annotated[
    PodmanArguments,
    PlainValidator(_validate),
    PlainSerializer(lambda parsed: list(parsed.arguments), return_type=list[str]),
    WithJsonSchema({"type": "array", "items": {"type": ["string", "number"]}}),
]

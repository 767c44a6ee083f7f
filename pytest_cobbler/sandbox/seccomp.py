"""podman's seccomp profile without user namespaces, sockets between virtual machines, and keyrings.

A process has every capability inside a user namespace of its own. Most holes of the kernel that let a
process out of a container need one of them, so jobs cannot make such a namespace.

A network namespace does not hold sockets of the family AF_VSOCK: they reach the machine under this one.
No namespace separates the keyrings of the kernel: they belong to a user, and outlive his processes. So a job
could leave words in them for the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import stat
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from pytest_cobbler.files import lock

__all__ = ["Profile", "without_user_namespaces"]

_PROFILES: Final = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
"""Where podman looks for its profile; the first takes precedence."""

_CONFIGURATIONS: Final = (
    Path("/usr/share/containers/containers.conf"),
    Path("/etc/containers/containers.conf"),
)
_CHOSEN: Final = re.compile(r'^\s*seccomp_profile\s*=\s*"([^"\n]+)"', re.MULTILINE)

_NAME: Final = "cobbler-seccomp-"

_NEW_USER_NAMESPACE: Final = 0x10000000
_NOT_PERMITTED: Final = 1

_BETWEEN_MACHINES: Final = 40
_KERNEL_MESSAGES: Final = 16
_AUDIT: Final = 9
_LAST_FAMILY: Final = 63
"""Families of sockets: AF_VSOCK, AF_NETLINK with its protocol NETLINK_AUDIT, and room for new ones."""


_MISSING: Final = 38
"""The error of a call that the kernel does not have."""

_KEYRINGS: Final = ("add_key", "keyctl", "request_key")
_REPLACED: Final = ("clone", "clone3", "unshare", "socket", "socketcall", *_KEYRINGS)


def without_user_namespaces(profile: str, machine: str = "") -> str:
    """``profile`` without new user namespaces, sockets between virtual machines, and keyrings.

    ``clone3`` has its flags in memory, where a filter cannot read them. Without it, the C libraries use
    ``clone``. The same is true of ``socketcall``, the old call of 32-bit programs, and ``socket``.

    Raises:
        ValueError: it is not a profile.
    """
    found: dict[str, Any] = json.loads(profile)
    if not isinstance(found, dict) or not isinstance(found.get("syscalls"), list):
        raise ValueError("not a seccomp profile")
    rules = []
    for rule in found["syscalls"]:
        rest = [name for name in rule.get("names", ()) if name not in _REPLACED]
        rules += [rule | {"names": rest}] if rest else []
    # The flags are the first argument, but the second one of clone on s390.
    for name, flags in (("clone", int(machine.startswith("s390"))), ("unshare", 0)):
        for wanted, verdict in (
            (0, {"action": "SCMP_ACT_ALLOW"}),
            (_NEW_USER_NAMESPACE, {"action": "SCMP_ACT_ERRNO", "errnoRet": _NOT_PERMITTED}),
        ):
            masked = {
                "index": flags,
                "value": _NEW_USER_NAMESPACE,
                "valueTwo": wanted,
                "op": "SCMP_CMP_MASKED_EQ",
            }
            rules.append({"names": [name], "args": [masked]} | verdict)
    rules += _sockets()
    # The default of some profiles is "not permitted", after which the C libraries do not try clone.
    missing = ["clone3", *_KEYRINGS]
    rules.append({"names": missing, "action": "SCMP_ACT_ERRNO", "errnoRet": _MISSING})
    return json.dumps(found | {"syscalls": rules})


def _sockets() -> list[dict[str, Any]]:
    """The rules for ``socket``. A filter has no ranges, so there is a rule for each family."""
    families = [
        number for number in range(_LAST_FAMILY + 1) if number not in (_KERNEL_MESSAGES, _BETWEEN_MACHINES)
    ]
    allowed = [[_equal(0, number)] for number in families]
    allowed.append([_equal(0, _KERNEL_MESSAGES), _equal(2, _AUDIT) | {"op": "SCMP_CMP_NE"}])
    return [{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": arguments} for arguments in allowed]


def _equal(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": 0, "op": "SCMP_CMP_EQ"}


class Profile:
    """The file of such a profile. It is removed with this object.

    After a kill, it is removed when the next one is made or removed. The process holds a lock on it,
    taken before the file gets its name. So a file without one is left over.
    ``path`` is ``None`` if podman's own profile is not a file that can be read. If something that cleans
    temporary directories has removed the file, it is made again.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._path: Path | None = None
        self._text = ""
        try:
            profile = _chosen(environment).read_text("utf-8")
            self._text = without_user_namespaces(profile, platform.machine())
        except (OSError, ValueError, IndexError):
            return
        _remove_left_over()
        self._path = self._written()

    @property
    def path(self) -> Path | None:
        if self._path and not self._path.exists():
            self._path = self._written()
        return self._path

    def _written(self) -> Path:
        # Always by a new name, which no one else can have taken.
        descriptor, draft = tempfile.mkstemp(prefix=".cobbler-")
        file = os.fdopen(descriptor, "w", encoding="utf-8")
        file.write(self._text)
        file.flush()
        os.fchmod(descriptor, 0o644)  # podman may run as another user
        with contextlib.suppress(OSError):  # a file system without locks, where nothing is removed either
            lock(file)
        path = Path(draft).with_name(f"{_NAME}{Path(draft).name.removeprefix('.cobbler-')}.json")
        Path(draft).rename(path)
        weakref.finalize(self, _remove, path, file)
        return path


def _remove(path: Path, file: IO[str]) -> None:
    path.unlink(missing_ok=True)
    file.close()
    _remove_left_over()


def _remove_left_over() -> None:
    """Remove the profiles of processes that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_NAME}*.json"):
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                status = os.fstat(file.fileno())
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                    lock(file)
                    path.unlink(missing_ok=True)
        except OSError:  # its process lives, or it is another user's
            continue


def _chosen(environment: Mapping[str, str]) -> Path:
    """The profile that podman would use."""
    own = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "/"), ".config"))
    places = [*_CONFIGURATIONS, own / "containers/containers.conf"]
    if replaced := environment.get("CONTAINERS_CONF"):
        places = [Path(replaced)]
    if further := environment.get("CONTAINERS_CONF_OVERRIDE"):
        places.append(Path(further))
    texts = [place.read_text("utf-8") for place in places if place.is_file()]
    named = [Path(name) for text in texts for name in _CHOSEN.findall(text)]
    return [*(path for path in reversed(_PROFILES) if path.is_file()), *named][-1]

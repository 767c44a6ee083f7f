"""podman's seccomp profile without user namespaces.

A process has every capability inside a user namespace of its own. Most holes of the kernel that let a
process out of a container need one of them, so jobs cannot make such a namespace.
"""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["Profile", "without_user_namespaces"]

_PROFILES: Final = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
"""Where podman looks for its profile; the first takes precedence."""

_CONFIGURATIONS: Final = (
    Path("/usr/share/containers/containers.conf"),
    Path("/etc/containers/containers.conf"),
)
_CHOSEN: Final = re.compile(r'^\s*seccomp_profile\s*=\s*"([^"\n]+)"', re.MULTILINE)

_NEW_USER_NAMESPACE: Final = 0x10000000
_NOT_PERMITTED: Final = 1


def without_user_namespaces(profile: str, machine: str = "") -> str:
    """``profile`` with ``clone`` and ``unshare`` only for other namespaces, and without ``clone3``.

    ``clone3`` has its flags in memory, where a filter cannot read them. Without it, the C libraries use
    ``clone``.

    Raises:
        ValueError: it is not a profile.
    """
    found: dict[str, Any] = json.loads(profile)
    if not isinstance(found, dict) or not isinstance(found.get("syscalls"), list):
        raise ValueError("not a seccomp profile")
    rules = []
    for rule in found["syscalls"]:
        rest = [name for name in rule.get("names", ()) if name not in ("clone", "clone3", "unshare")]
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
    # The default of some profiles is "not permitted", after which the C libraries do not try clone.
    rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38})
    return json.dumps(found | {"syscalls": rules})


class Profile:
    """The file of a profile without user namespaces; it is removed with this object.

    ``path`` is ``None`` if podman's own profile is not a file that can be read.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.path: Path | None = None
        try:
            text = without_user_namespaces(_chosen(environment).read_text(), platform.machine())
        except (OSError, ValueError, IndexError):
            return
        descriptor, name = tempfile.mkstemp(prefix="cobbler-seccomp-", suffix=".json")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)  # podman may run as another user
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)


def _chosen(environment: Mapping[str, str]) -> Path:
    """The profile that podman would use."""
    own = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "/"), ".config"))
    places = [*_CONFIGURATIONS, own / "containers/containers.conf"]
    if replaced := environment.get("CONTAINERS_CONF"):
        places = [Path(replaced)]
    if further := environment.get("CONTAINERS_CONF_OVERRIDE"):
        places.append(Path(further))
    texts = [place.read_text() for place in places if place.is_file()]
    named = [Path(name) for text in texts for name in _CHOSEN.findall(text)]
    return [*(path for path in reversed(_PROFILES) if path.is_file()), *named][-1]

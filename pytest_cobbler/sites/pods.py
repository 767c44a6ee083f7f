"""The pod of a place: a container for jobs and the carrier, which has the node's half, without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from pytest_cobbler.sandbox.lifeline import SHELL
from pytest_cobbler.sandbox.pod_job import FIFOS, FIRST, LINK

__all__ = ["CARRIER", "FILES", "LABEL", "OBJECTS", "PodSettings", "manifest"]

CARRIER: Final = "carrier"
JOB: Final = "job"
LABEL: Final = "cobbler.dev/"
"""The beginning of the names of our labels."""

USER: Final = 60989
"""uid and gid of both containers: the user of root's jobs on podman."""

OBJECTS: Final = "/cobbler/node"
"""The directory of the node's half, with the repository; jobs cannot write it."""
FILES: Final = "/cobbler/work"
"""The directory with the files of the place."""

_LINK: Final = str(PurePosixPath(LINK).parent)
_MEMORY: Final = "4Gi"
_CARRIERS_MEMORY: Final = "1Gi"

# Every interface but the loopback goes down, and with it every way to another machine. The FIFOs are there
# before the two containers begin.
_TAKE_AWAY: Final = """
import fcntl, os, socket, struct, sys
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _, name in socket.if_nameindex():
    if name != "lo":
        flags = fcntl.ioctl(asked, 0x8913, struct.pack("16sH22x", name.encode(), 0))
        (flags,) = struct.unpack_from("H", flags, 16)
        fcntl.ioctl(asked, 0x8914, struct.pack("16sH22x", name.encode(), flags & ~1))
os.umask(0)
os.mkdir(sys.argv[1], 0o777)
for name in sys.argv[2:]:
    os.mkfifo(os.path.join(sys.argv[1], name), 0o666)
"""

# What a program prints before anybody is attached is lost, so it begins when the first line has come.
_AWAIT: Final = 'read -r _ && exec "$@"'

_TIGHT: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True, kw_only=True)
class PodSettings:
    """What the configuration says of pods.

    ``own`` is the user's part, of the allow-list: fields of the specification of a pod, and ``labels``,
    ``annotations`` and ``resources``. ``disk``: bytes that jobs may write, ``None`` for no limit.
    """

    image: str
    carrier: str
    disk: int | None
    own: Mapping[str, Any] = field(default_factory=dict)


def manifest(
    name: str, labels: Mapping[str, str], program: Sequence[str], settings: PodSettings, node: str = ""
) -> dict[str, Any]:
    """A pod that runs ``program`` in its carrier. Nothing starts it, or a container of it, a second time."""
    own = dict(settings.own)
    metadata = {
        "name": name,
        "labels": {**own.pop("labels", {}), **{f"{LABEL}{key}": value for key, value in labels.items()}},
        "annotations": own.pop("annotations", {}),
    }
    resources = own.pop("resources", {})
    volumes = {
        "objects": {},
        "files": {"sizeLimit": str(settings.disk)} if settings.disk else {},
        "link": {"medium": "Memory", "sizeLimit": "1Mi"},
        "shell": {"medium": "Memory", "sizeLimit": "16Mi"},
        "tmp": {"medium": "Memory"},
        "carriers-tmp": {"medium": "Memory", "sizeLimit": "256Mi"},
    }
    specification = {
        **own,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "shareProcessNamespace": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "securityContext": {
            "runAsUser": USER,
            "runAsGroup": USER,
            "runAsNonRoot": True,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_without_network(settings)],
        "containers": [_job(settings, resources), _carrier(settings, program)],
        "volumes": [{"name": key, "emptyDir": value} for key, value in volumes.items()],
    }
    if node:
        specification["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": specification}


def _mounted(**places: str) -> list[dict[str, Any]]:
    return [{"name": name.replace("_", "-"), "mountPath": place} for name, place in places.items()]


def _read_only(**places: str) -> list[dict[str, Any]]:
    return [{**one, "readOnly": True} for one in _mounted(**places)]


def _without_network(settings: PodSettings) -> dict[str, Any]:
    """The init container that takes the network away; it alone is root, with one capability."""
    return {
        "name": "without-network",
        "image": settings.carrier,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-I", "-S", "-c", _TAKE_AWAY, LINK, *FIFOS],
        "securityContext": {
            **_TIGHT,
            "runAsUser": 0,
            "runAsNonRoot": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        },
        "resources": {"limits": {"memory": "128Mi"}},
        "volumeMounts": _mounted(link=_LINK),
    }


def _job(settings: PodSettings, resources: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": JOB,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", FIRST],
        "workingDir": "/",
        "securityContext": dict(_TIGHT),
        "resources": {
            **resources,
            "limits": {"memory": _MEMORY, **resources.get("limits", {})},
            "requests": {"cpu": "100m", "memory": "256Mi", **resources.get("requests", {})},
        },
        "volumeMounts": [
            *_read_only(objects=OBJECTS, link=_LINK),
            *_mounted(files=FILES, shell=SHELL, tmp="/tmp"),
        ],
    }


def _carrier(settings: PodSettings, program: Sequence[str]) -> dict[str, Any]:
    fields = {"COBBLER_NODE": "spec.nodeName", "COBBLER_NODE_ADDRESS": "status.hostIP"}
    return {
        "name": CARRIER,
        "image": settings.carrier,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _AWAIT, "cobbler", *program],
        "stdin": True,
        "stdinOnce": True,
        "workingDir": "/",
        "env": [
            {"name": "HOME", "value": "/tmp"},
            # On every node the same: paths are in an agent's conversation, which may go on in another pod.
            {"name": "COBBLER_PLACE", "value": "pod"},
            *(
                {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                for name, path in fields.items()
            ),
        ],
        "securityContext": dict(_TIGHT),
        "resources": {"limits": {"memory": _CARRIERS_MEMORY}, "requests": {"cpu": "50m", "memory": "128Mi"}},
        "volumeMounts": _mounted(objects=OBJECTS, files=FILES, link=_LINK, carriers_tmp="/tmp"),
    }

"""The proof that a network namespace reaches nothing but its own loopback."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pytest_cobbler.errors import SandboxError

__all__ = ["Address", "addresses_of_a_pod", "prove_isolation"]


Address = tuple[str, int]

_METADATA: Final = ("169.254.169.254", 80)
_KUBELET: Final = 10250
_DNS: Final = 53
_PATIENCE: Final = 2.0
_FLAGS_OF_INTERFACE: Final = 0x8913
_UP: Final = 1
_NO_WAY: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
"""Errors of a kernel that has no way to an address. A refusal comes from the other end, which was reached."""

_REMEDY: Final = "Its network has to be taken away by the init container: see the page on Kubernetes."


def addresses_of_a_pod(more: Iterable[Address] = ()) -> list[Address]:
    """What a pod must not reach: API server, kubelet, name servers and the metadata of clouds."""
    addresses = [_METADATA, *more]
    server = os.environ.get("KUBERNETES_SERVICE_HOST")
    if server:
        addresses.append((server, int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))))
    if node := os.environ.get("COBBLER_NODE_ADDRESS"):
        addresses.append((node, _KUBELET))
    return [*addresses, *((server, _DNS) for server in _name_servers())]


def _name_servers() -> Iterator[str]:
    with contextlib.suppress(OSError):
        for line in Path("/etc/resolv.conf").read_text("utf-8", "replace").splitlines():
            words = line.split()
            if words[:1] == ["nameserver"] and len(words) > 1:
                yield words[1]


def prove_isolation(addresses: Iterable[Address]) -> None:
    """Prove that this process reaches none of ``addresses``, and has no way to any other machine.

    Raises:
        SandboxError: it has one.
    """
    up = [name for _, name in socket.if_nameindex() if name != "lo" and _is_up(name)]
    if up:
        raise SandboxError(f"jobs would have a network ({', '.join(up)})", _REMEDY)
    for address in addresses:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            if how := _reached(address, kind):
                raise SandboxError(f"jobs would reach {address[0]}:{address[1]} ({how})", _REMEDY)


def _is_up(interface: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        flags = fcntl.ioctl(asked, _FLAGS_OF_INTERFACE, struct.pack("16sH22x", interface.encode(), 0))
    return bool(struct.unpack_from("H", flags, 16)[0] & _UP)


def _reached(address: Address, kind: socket.SocketKind) -> str:
    """How an address was reached; empty if the kernel has no way to it."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        with socket.socket(family, kind) as tried:
            tried.settimeout(_PATIENCE)
            tried.connect(address)
            if kind == socket.SOCK_DGRAM:
                tried.send(b"\0")
    except OSError as error:
        if error.errno in _NO_WAY or error.errno == errno.EAFNOSUPPORT:
            return ""
        return error.strerror or str(error)
    return "it can be sent to"

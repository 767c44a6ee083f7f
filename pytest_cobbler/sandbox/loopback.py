"""A listener on the loopback of a container without network, opened by the host.

A socket keeps the network namespace that it was made in. So a short-lived process enters the container's,
makes the listener, and hands it back: the container has no way out but to its acceptor.
"""

from __future__ import annotations

import socket
import sys
from typing import Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import host_environment, run

__all__ = ["open_listener"]

_BACKLOG: Final = 64
_PATIENCE: Final = 60.0
"""Seconds; it takes a twentieth of one."""

# The user namespace comes first: of a user's own podman, it gives the right to enter the other.
# A process of one thread only can enter it, so this is a program of its own.
_OPENER: Final = """
import ctypes, os, socket, sys
process, port, channel, backlog = map(int, sys.argv[1:])
libc = ctypes.CDLL(None, use_errno=True)
doors = []
for kind, flag in (("user", 0x10000000), ("net", 0x40000000)):
    door = os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY)
    if os.path.samestat(os.fstat(door), os.stat(f"/proc/self/ns/{kind}")):
        if kind == "net":
            sys.exit("the container shares the network of this machine")
        continue
    doors.append((kind, flag, door))
for kind, flag, door in doors:
    if libc.setns(door, flag):
        sys.exit(f"setns({kind}): {os.strerror(ctypes.get_errno())}")
listener = socket.socket()
listener.bind(("127.0.0.1", port))
listener.listen(backlog)
socket.send_fds(socket.socket(fileno=channel), [b"x"], [listener.fileno()])
"""


def open_listener(process: int, port: int) -> socket.socket:
    """A socket that listens on ``port`` of the loopback that ``process`` sees.

    Raises:
        SandboxError: that is not possible here, or the loopback is this machine's own.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        opened = run(
            [
                *(sys.executable, "-I", "-S", "-c", _OPENER),
                *map(str, (process, port, theirs.fileno(), _BACKLOG)),
            ],
            env=host_environment(),
            timeout=_PATIENCE,
            pass_fds=[theirs.fileno()],
        )
        if not opened.ok:
            raise SandboxError(
                "nothing can be served on the loopback of a container",
                "Do without: agent_network: open gives agents a network and the key, "
                "agent_network: none gives neither.",
                opened.errors,
            )
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])

"""A listener on the loopback of a container without network, opened by the host.

A socket stays in the network namespace in which it was made. So a short-lived process enters the namespace
of the container, makes the listener and passes it back. The container can reach nothing else.
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
"""Seconds; normally it takes 0.05."""

# The user namespace comes first: with a rootless podman, it gives the right to enter the network namespace.
# Only a process with one thread can enter it, so this is a separate program.
# The loopback is switched on, because gVisor's runsc leaves it off.
_OPENER: Final = """
import ctypes, fcntl, os, socket, struct, sys
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
flags = fcntl.ioctl(listener, 0x8913, struct.pack("16sH22x", b"lo", 0))
if not struct.unpack_from("H", flags, 16)[0] & 1:
    fcntl.ioctl(listener, 0x8914, struct.pack("16sH22x", b"lo", 1))
listener.bind(("127.0.0.1", port))
listener.listen(backlog)
socket.send_fds(socket.socket(fileno=channel), [b"x"], [listener.fileno()])
"""


def open_listener(process: int, port: int) -> socket.socket:
    """A socket that listens on ``port`` of the loopback of ``process``.

    Raises:
        SandboxError: the kernel refuses, or the loopback is this machine's own.
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
                "cannot listen on the loopback of a container",
                "Set agent_network: open gives agents a network and the key, "
                "agent_network: none gives neither.",
                opened.errors,
            )
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])

"""Connections of a job's loopback, carried by flows to the service of the coordinator."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Final

from pytest_cobbler.sites.frames import CONNECTION, Flow, Link

__all__ = ["Relay", "join"]

_CHUNK: Final = 64 * 1024


def join(connection: socket.socket, flow: Flow) -> None:
    """Carry bytes between a connection and a flow until both have ended."""
    upward = threading.Thread(target=_send, args=(connection, flow), daemon=True)
    upward.start()
    try:
        with contextlib.suppress(OSError):
            while data := flow.read():
                connection.sendall(data)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        upward.join()
    finally:
        connection.close()
        with contextlib.suppress(OSError):
            flow.close()


def _send(connection: socket.socket, flow: Flow) -> None:
    with contextlib.suppress(OSError):
        while data := connection.recv(_CHUNK):
            flow.write(data)
    with contextlib.suppress(OSError):
        flow.finish()


class Relay:
    """Serves the loopback of a job on a node: each connection becomes a flow."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @contextlib.contextmanager
    def serve(self, listener: socket.socket) -> Iterator[None]:
        connections: list[socket.socket] = []
        threading.Thread(target=self._accept, args=(listener, connections), daemon=True).start()
        try:
            yield
        finally:
            for one in (listener, *connections):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket, connections: list[socket.socket]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
                connections[:] = [one for one in connections if one.fileno() >= 0]
                connections.append(connection)
                flow = self._link.flow()
                self._link.send(CONNECTION, flow.number)
            except OSError:
                return
            threading.Thread(target=join, args=(connection, flow), daemon=True).start()

"""The stream to the carrier of a pod, through the API server."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any, Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.sites.cluster import ADMINISTRATION, delete_pod, reported
from pytest_cobbler.sites.pods import CARRIER

__all__ = ["PodStream"]

_TAIL: Final = 20_000
_ASK: Final = 0.3
"""Seconds between two questions whether the pod runs."""
_PART: Final = 128 * 1024
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_HOPELESS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Reasons for which a container waits and that do not pass by themselves."""


class PodStream:
    """The stdin and stdout of a pod's carrier. The pod is deleted when it is closed."""

    def __init__(self, api: Any, namespace: str, pod: str) -> None:
        self._api = api
        self._namespace = namespace
        self._pod = pod
        self._socket: Any = None
        self._sending = threading.Lock()
        self._errors = b""
        self._why = ""
        self._is_over = threading.Event()
        self._has_failed = False

    # -- the thread that reads

    def read(self, seconds: float) -> bytes | None:
        if self._is_over.is_set():
            return b""
        if self._socket is None:
            return self._attach(seconds)
        try:
            self._socket.update(timeout=seconds)
        except Exception as error:  # the client has many for a connection that ends
            return self._end(f"the connection to the pod has ended: {error}")
        self._errors = (self._errors + self._taken(_STDERR))[-_TAIL:]
        data = self._taken(_STDOUT)
        if data:
            return data
        return None if self._socket.is_open() else self._end("")

    def _taken(self, channel: int) -> bytes:
        # Its read_channel would wait for more.
        data: bytes = self._socket._channels.pop(channel, b"")
        return data

    def _attach(self, seconds: float) -> bytes | None:
        """Attach if the pod runs; empty if it never will."""
        try:
            with reported(f"cannot ask for the pod {self._pod}"):
                pod = self._api.read_namespaced_pod(
                    self._pod, self._namespace, _request_timeout=ADMINISTRATION
                )
        except SandboxError as error:
            return self._end(str(error))
        if why := _hopeless(pod):
            return self._end(why)
        states = {one.name: one.state for one in pod.status.container_statuses or []}
        if CARRIER not in states or not states[CARRIER].running:
            self._is_over.wait(min(seconds, _ASK))
            return None
        from kubernetes.stream import stream

        try:
            with reported(f"cannot attach to the pod {self._pod}"):
                self._socket = stream(
                    self._api.connect_get_namespaced_pod_attach,
                    self._pod,
                    self._namespace,
                    container=CARRIER,
                    **dict.fromkeys(("stdin", "stdout", "stderr"), True),
                    tty=False,
                    binary=True,
                    _preload_content=False,
                )
        except SandboxError as error:
            return self._end(str(error))
        self._send(b"\n")
        return None

    def _end(self, why: str) -> bytes:
        """The stream is over; find out whether its pod has ended, or else how it was lost."""
        self._why = why
        self._has_failed = not self._has_ended()
        self._is_over.set()
        return b""

    def _has_ended(self) -> bool:
        """Whether the API server knows that the processes of the pod have ended, or were told to."""
        if self._socket is None:
            return True
        for _ in range(10):
            try:
                pod = self._api.read_namespaced_pod(
                    self._pod, self._namespace, _request_timeout=ADMINISTRATION
                )
            except Exception as error:
                return getattr(error, "status", 0) == 404
            if pod.metadata.deletion_timestamp or pod.status.phase in ("Failed", "Succeeded"):
                self._why = self._why or pod.status.message or ""
                return True
            states = {one.name: one.state for one in pod.status.container_statuses or []}
            if CARRIER in states and states[CARRIER].terminated:
                return True
            time.sleep(_ASK)
        return False

    # -- all threads

    def write(self, data: bytes) -> None:
        if self._socket is None or self._is_over.is_set():
            raise OSError("the pod is not attached")
        for start in range(0, len(data), _PART):
            self._send(data[start : start + _PART])

    def _send(self, data: bytes) -> None:
        try:
            with self._sending:
                self._socket.write_channel(_STDIN, data)
        except Exception as error:  # as above
            raise OSError(str(error)) from error

    def finish(self) -> None:
        # Not by a message: a sender may wait for the other end, and hold the lock.
        self._is_over.set()
        if self._socket is not None:
            with contextlib.suppress(OSError, AttributeError):
                self._socket.sock.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.finish()
        if self._socket is not None:
            with contextlib.suppress(Exception):
                self._socket.sock.shutdown()  # its close would wait for an answer
        with contextlib.suppress(Exception):  # a later run deletes it, and the lease ends its job
            delete_pod(self._api, self._namespace, self._pod)

    @property
    def trouble(self) -> str:
        return "\n".join(filter(None, (self._why, self._errors.decode("utf-8", "replace").strip())))

    @property
    def has_failed(self) -> bool:
        return self._has_failed


def _hopeless(pod: Any) -> str:
    """Why a pod will never run; empty if it may."""
    status = pod.status
    if status.phase in ("Failed", "Succeeded"):
        return "; ".join([f"the pod has ended ({status.reason or status.phase})", *_words(status)])
    for one in [*(status.init_container_statuses or []), *(status.container_statuses or [])]:
        waiting = one.state and one.state.waiting
        if waiting and waiting.reason in _HOPELESS:
            why = waiting.message or one.image
            return f"the container {one.name} does not start: {waiting.reason}: {why}"
    return ""


def _words(status: Any) -> list[str]:
    words = [status.message] if status.message else []
    for one in [*(status.init_container_statuses or []), *(status.container_statuses or [])]:
        ended = one.state and one.state.terminated
        if ended and ended.exit_code:
            words.append(f"{one.name}: exit status {ended.exit_code}, {ended.message or ended.reason}")
    return words

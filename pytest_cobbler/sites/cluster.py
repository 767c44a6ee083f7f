"""The official client of Kubernetes: the cluster that it finds, and its errors in a user's words."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any, Final

from pytest_cobbler.display import one_line
from pytest_cobbler.errors import SandboxError

__all__ = ["ADMINISTRATION", "configured", "delete_pod", "reported"]

ADMINISTRATION: Final = 60.0
"""Seconds for a request to the API server; normally far less than one."""
_GONE: Final = 404


def configured() -> tuple[Any, str]:
    """The client's configuration and the namespace of the current context, or of the pod that this is in.

    Raises:
        SandboxError: the client is not installed, or finds no cluster.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise SandboxError(
            "sandbox: kubernetes needs the client of Kubernetes",
            "Install it: pip install 'pytest-cobbler[kubernetes]'",
        ) from error
    configuration = client.Configuration()
    namespace = "default"
    try:
        load: Any = config  # it has no types
        place = os.environ.get("KUBECONFIG") or None  # the client has read it when it was imported
        load.load_kube_config(place, client_configuration=configuration)
        _, current = load.list_kube_config_contexts(place)
        namespace = current["context"].get("namespace") or namespace
    except config.ConfigException as error:
        raise SandboxError(
            "no cluster of Kubernetes is configured",
            "Does kubectl get pods work? Set KUBECONFIG, or write ~/.kube/config.",
            str(error),
        ) from error
    configuration.retries = False
    return configuration, namespace


@contextlib.contextmanager
def reported(what: str) -> Iterator[None]:
    """Report errors of the client, and of the connection to the API server.

    Raises:
        SandboxError: there was one.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise SandboxError(f"Kubernetes: {what}", evidence=_told(error)) from error
    except (HTTPError, OSError) as error:
        raise SandboxError(
            f"Kubernetes: {what}: the API server does not answer",
            "Try it by hand: kubectl get pods",
            one_line(str(error)),
        ) from error


def _told(error: Any) -> str:
    """The message of the API server."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return one_line(f"{error.status} {error.reason}")


def delete_pod(api: Any, namespace: str, name: str, seconds: int = 1) -> None:
    """Delete a pod, if it is still there.

    Args:
        seconds: until its processes are killed. It is gone when they are; with 0 it is gone before.
    """
    from kubernetes.client import ApiException

    try:
        api.delete_namespaced_pod(
            name, namespace, grace_period_seconds=seconds, _request_timeout=ADMINISTRATION
        )
    except ApiException as error:
        if error.status != _GONE:
            raise

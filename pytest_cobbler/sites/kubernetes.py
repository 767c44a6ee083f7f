"""Kubernetes as a channel: each place is one pod, which nothing starts again."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_cobbler.sandbox.isolation import Address
from pytest_cobbler.sites.attached import PodStream
from pytest_cobbler.sites.cluster import ADMINISTRATION, configured, delete_pod, reported
from pytest_cobbler.sites.pods import LABEL, PodSettings, manifest

__all__ = ["KubernetesChannel"]

_ENDED: Final = 90.0
"""Seconds after which no job of a pod is at work, even if its node is cut off; see ``Patience``."""
_OURS: Final = f"{LABEL}repository"


class KubernetesChannel:
    """Pods, by the official client, in the cluster and the namespace of the current kubeconfig.

    The client is imported when the first pod is needed.
    """

    def __init__(self, settings: PodSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._found: Any = None
        self._namespace = ""

    @property
    def description(self) -> str:
        return "agents on Kubernetes"

    @property
    def address(self) -> Address:
        """The address of the API server, as this machine has it.

        Raises:
            SandboxError: there is no configuration of a cluster.
        """
        parts = urlsplit(self._configuration.host)
        return parts.hostname or "", parts.port or 443

    def open(self, name: str, labels: Mapping[str, str], program: Sequence[str], node: str = "") -> PodStream:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-")
        pod = f"{plain}-{uuid.uuid4().hex[:10]}"
        asked = manifest(pod, labels, program, self._settings, node)
        api = self._api()
        with reported(f"cannot make a pod in the namespace {self._namespace}"):
            api.create_namespaced_pod(self._namespace, asked, _request_timeout=ADMINISTRATION)
        return PodStream(api, self._namespace, pod)

    def list(self, labels: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
        selector = ",".join(f"{LABEL}{key}={value}" for key, value in labels.items()) or _OURS
        api = self._api()
        with reported(f"cannot list the pods of the namespace {self._namespace}"):
            listed = api.list_namespaced_pod(
                self._namespace, label_selector=selector, _request_timeout=ADMINISTRATION
            )
        return {
            pod.metadata.name: {
                key.removeprefix(LABEL): value
                for key, value in pod.metadata.labels.items()
                if key.startswith(LABEL)
            }
            for pod in listed.items
        }

    def end(self, ids: Sequence[str]) -> None:
        api = self._api()
        for name in ids:
            with reported(f"cannot delete the pod {name}"):
                delete_pod(api, self._namespace, name)
        deadline = time.monotonic() + _ENDED
        while left := set(self.list({})) & set(ids):
            if time.monotonic() > deadline:  # their nodes do not answer, and by now the lease is over
                for name in left:
                    with reported(f"cannot delete the pod {name}"):
                        delete_pod(api, self._namespace, name, 0)
                return
            time.sleep(0.2)

    def _api(self) -> Any:
        """A client of its own for each stream: one that attaches does nothing else meanwhile."""
        configuration = self._configuration
        from kubernetes import client

        made: Any = client.ApiClient(configuration)
        made.set_default_header("Connection", "close")  # nothing has to be closed at the end
        return client.CoreV1Api(made)

    @property
    def _configuration(self) -> Any:
        with self._lock:
            if self._found is None:
                self._found, self._namespace = configured()
            return self._found

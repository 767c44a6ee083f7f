"""Places in the pods of a real Kubernetes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.sites.kubernetes import KubernetesChannel
from pytest_cobbler.sites.patience import Patience
from pytest_cobbler.sites.pods import FILES, OBJECTS, PodSettings
from pytest_cobbler.sites.remote import NodeSandbox, RemoteSite
from tests.support.kubernetes_cluster import KubernetesCluster
from tests.support.nodes import channel_label
from tests.support.repositories import Bench

__all__ = ["Pods", "pods"]


class Pods:
    """Sites on the cluster of the tests, with a ``carrier`` and an image for jobs."""

    def __init__(self, image: str, carrier: str) -> None:
        self.image = image
        self.carrier = carrier

    def channel(self, own: Mapping[str, Any] | None = None) -> KubernetesChannel:
        settings = PodSettings(image=self.image, carrier=self.carrier, disk=1 << 30, own=own or {})
        return KubernetesChannel(settings)

    def site(
        self, bench: Bench, channel: KubernetesChannel | None = None, patience: Patience | None = None
    ) -> RemoteSite:
        channel = channel or self.channel()
        sandbox = NodeSandbox(
            image=self.image,
            repository=channel_label(bench),
            run_id=uuid.uuid4().hex[:8],
            files=FILES,
            forbidden=(channel.address,),
        )
        return RemoteSite(
            bench.repository,
            bench.generation.name,
            channel,
            sandbox,
            Path(OBJECTS),
            engine="kubernetes",
            patience=patience,
        )


@pytest.fixture
def pods(
    kubernetes: KubernetesCluster,
    minimal_image: str,
    python_image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Pods]:
    """Pods with git and dash for jobs, which are all deleted afterwards."""
    monkeypatch.setenv("KUBECONFIG", str(kubernetes.configuration))
    made = Pods(minimal_image, python_image)
    yield made
    channel = made.channel()
    if left := list(channel.list({})):
        channel.end(left)

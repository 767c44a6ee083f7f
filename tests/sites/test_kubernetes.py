"""Places in the pods of a real Kubernetes: what they reach, and what its own ends do to a job."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import NotStarted, SandboxError
from pytest_cobbler.sites import kubernetes as channels
from pytest_cobbler.sites.kubernetes import KubernetesChannel
from pytest_cobbler.sites.pods import PodSettings, manifest
from pytest_cobbler.sites.remote import RemoteSite
from tests.support.kubernetes_cluster import NODE, KubernetesCluster
from tests.support.nodes import QUICK
from tests.support.pods import Pods
from tests.support.repositories import Bench
from tests.support.working import Working

pytestmark = [pytest.mark.podman, pytest.mark.kubernetes, pytest.mark.slow]


def working_in(site: RemoteSite, bench: Bench) -> Working:
    return Working(site, bench, "echo begun; sleep 600", 60)


class WithItsNetwork(KubernetesChannel):
    """Pods whose network is not taken away."""

    def made(self, *arguments: Any) -> dict[str, Any]:
        made = manifest(*arguments)
        (first,) = made["spec"]["initContainers"]
        first["command"][4] = first["command"][4].replace("flags & ~1", "flags")
        return made


def test_a_job_of_a_preflight_runs_and_its_pod_vanishes(pods: Pods, host_bench: Bench) -> None:
    site = pods.site(host_bench)
    assert site.check() == f"node {NODE}: Kubernetes, a pod, image {pods.image}, jobs run as uid 60989"
    until_gone(pods.channel())


def until_gone(channel: KubernetesChannel) -> None:
    """Wait until no pod is there any more."""
    while channel.list({}):
        time.sleep(0.1)


def test_a_pod_that_has_a_network_takes_no_work(
    pods: Pods, host_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = WithItsNetwork(pods.channel()._settings)
    monkeypatch.setattr(channels, "manifest", channel.made)
    with pytest.raises(SandboxError, match=r"jobs would have a network \(eth0\)"):
        pods.site(host_bench, channel).check()
    until_gone(channel)


def test_the_users_part_of_a_pod_arrives_and_opens_nothing(pods: Pods, host_bench: Bench) -> None:
    own: Mapping[str, Any] = {
        "labels": {"team": "tests"},
        "annotations": {"note": "x"},
        "nodeSelector": {"kubernetes.io/hostname": NODE},
        "resources": {"limits": {"memory": "300Mi"}},
        "tolerations": [{"key": "a", "operator": "Exists"}],
    }
    channel = pods.channel(own)
    site = pods.site(host_bench, channel)
    working = working_in(site, host_bench)
    (name,) = channel.list({})
    pod = channel._api().read_namespaced_pod(name, "default")
    assert (pod.metadata.labels["team"], pod.metadata.annotations["note"]) == ("tests", "x")
    assert pod.spec.containers[0].resources.limits == {"memory": "300Mi"}
    assert (pod.spec.restart_policy, pod.spec.automount_service_account_token) == ("Never", False)
    for container in pod.spec.containers:
        context = container.security_context
        assert (context.read_only_root_filesystem, context.allow_privilege_escalation) == (True, False)
        assert (context.capabilities.drop, context.capabilities.add) == (["ALL"], None)
    channel.end([name])  # as kubectl delete does
    assert working.end().cause == Ending.KILLED
    working.place.remove()
    nowhere = pods.channel({"nodeSelector": {"no": "node"}})
    stream = nowhere.open("waits", {"repository": "r", "run": "x"}, ("true",))
    assert stream.read(0.5) is None
    stream.close()


def test_an_image_that_is_nowhere_is_named(pods: Pods, host_bench: Bench) -> None:
    settings = replace(pods.channel()._settings, image="localhost:1/no/such:1")
    with pytest.raises(NotStarted) as caught:
        pods.site(host_bench, KubernetesChannel(settings)).check()
    assert "the container job does not start" in str(caught.value)


def test_a_run_deletes_the_pods_of_a_dead_one(pods: Pods, host_bench: Bench) -> None:
    working = working_in(pods.site(host_bench), host_bench)
    again = pods.site(host_bench, patience=QUICK)
    assert len(again.sweep()) == 1
    assert (again.leftovers(), pods.channel().list({})) == ([], {})
    assert working.end().cause == Ending.KILLED
    # A conversation that goes on in another pod names files by their paths.
    tree = host_bench.repository.tree_of(host_bench.tip)
    other = again.open("t-2", parent=host_bench.tip, tree=tree, purpose={"task": "t", "number": "2"})
    assert other.checkout == working.place.checkout
    other.remove()


def test_the_end_of_the_api_server_loses_a_job_and_the_lease_ends_it(
    pods: Pods, host_bench: Bench, kubernetes: KubernetesCluster
) -> None:
    working = working_in(pods.site(host_bench, patience=QUICK), host_bench)
    kubernetes.kill("kube-apiserver")
    try:
        assert working.end().cause == Ending.LOST
    finally:
        kubernetes.start_again("kube-apiserver")
        kubernetes.until_served()
    with contextlib.suppress(SandboxError):
        pods.site(host_bench).sweep()


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    with pytest.raises(SandboxError, match="no cluster of Kubernetes is configured"):
        KubernetesChannel(PodSettings(image="i", carrier="i", disk=None)).list({})

from __future__ import annotations

from tests.support.bench_fixtures import (
    bench,
    can_have_overlays,
    host,
    host_bench,
    minimal_image,
    podman,
    sandbox,
)
from tests.support.images import busybox_image, python_image
from tests.support.kubernetes_cluster import kubernetes
from tests.support.pods import pods
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = [
    "bench",
    "busybox_image",
    "can_have_overlays",
    "host",
    "host_bench",
    "kubernetes",
    "minimal_image",
    "no_git_of_ours",
    "podman",
    "pods",
    "python_image",
    "sandbox",
    "template",
    "tmp_path",
    "user",
]

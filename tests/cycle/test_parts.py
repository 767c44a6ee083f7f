"""What is tried before anything is spent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cobbler.config import Config, load
from pytest_cobbler.cycle.parts import make_gate, preflight_gate
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.gate import Gate
from pytest_cobbler.languages import Go
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from tests.images import minimal_image
from tests.toolchain import go_arguments, go_cache, go_root

__all__ = ["go_arguments", "go_cache", "go_root", "minimal_image"]

Made = Callable[..., Gate]


@pytest.fixture
def made(minimal_image: str, tmp_path: Path) -> Made:
    def made(*arguments: str) -> Gate:
        path = tmp_path / "configuration.yaml"
        path.write_text(f"podman_image: {minimal_image}\npodman_args: {list(arguments)}\n")
        config: Config = load(path)
        sandbox = PodmanSandbox(
            minimal_image,
            repository="parts",
            run_id=os.urandom(4).hex(),
            owner=job_owner(tmp_path),
            arguments=config.podman_arguments,
        )
        return make_gate(config, Go(), sandbox, "parts")

    return made


def test_the_gate_of_go_passes_on_an_empty_directory(made: Made, go_arguments: tuple[str, ...]) -> None:
    preflight_gate(made(*go_arguments), Go())


def test_an_image_without_go_is_named_before_anything_is_spent(made: Made) -> None:
    with pytest.raises(UsageProblem) as caught:
        preflight_gate(made(), Go())
    assert caught.value.cause == "the gate cannot run: build failed (exit 127) on an empty directory"
    assert caught.value.remedy.startswith("Add its tools to podman_image")
    assert "there is no go where the gate runs" in caught.value.evidence

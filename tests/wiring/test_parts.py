"""Parts are checked before anything is spent."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.config import Config, load
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages import Go
from pytest_cobbler.languages.python import Python
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.wiring.parts import SandboxSettings, make_agent, make_gate
from pytest_cobbler.wiring.preflight import preflight_gate, reserved_modules
from tests.support.images import minimal_image
from tests.support.toolchain import go_arguments, go_cache, go_root

__all__ = ["go_arguments", "go_cache", "go_root", "minimal_image"]

MakeGate = Callable[..., Gate]


@pytest.fixture
def gate_with(minimal_image: str, tmp_path: Path) -> MakeGate:
    def gate_with(*arguments: str) -> Gate:
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

    return gate_with


def test_the_gate_of_go_passes_on_an_empty_directory(
    gate_with: MakeGate, go_arguments: tuple[str, ...]
) -> None:
    preflight_gate(gate_with(*go_arguments), Go())


def test_an_image_without_go_is_reported_before_anything_is_spent(gate_with: MakeGate) -> None:
    with pytest.raises(UsageProblem) as caught:
        preflight_gate(gate_with(), Go())
    assert caught.value.cause == "the gate cannot run: build failed (exit 127) in an empty directory"
    assert caught.value.remedy.startswith("Add its tools to podman_image")
    assert "go is not installed where the gate runs" in caught.value.evidence


@pytest.fixture
def host_gate(tmp_path: Path) -> Callable[[str], Gate]:
    def host_gate(build_command: str) -> Gate:
        path = tmp_path / "configuration.yaml"
        path.write_text(f"sandbox: none\nlanguage: python\nbuild_command: {build_command}\n")
        gate = make_gate(load(path), Python(), HostSandbox(repository="parts", run_id="x"), "parts")
        return replace(gate, environment={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})

    return host_gate


@pytest.mark.slow
def test_a_missing_program_of_the_gate_is_named(host_gate: Callable[[str], Gate]) -> None:
    preflight_gate(host_gate("[git, --version]"), Python())
    preflight_gate(host_gate("[./build, all]"), Python())  # the checkout's own
    for words in ("X=1 no-such-program", "if true; then no-such-program; fi", "./no-such-program", "cd /"):
        preflight_gate(host_gate(words), Python())  # the shell's
    for words in ("[no-such-program, -x]", "no-such-program -x | cat"):
        with pytest.raises(UsageProblem) as caught:
            preflight_gate(host_gate(words), Python())
        assert caught.value.cause == "the gate cannot run: its sandbox does not have no-such-program"


def test_modules_of_pytests_plugins_are_reserved(host_gate: Callable[[str], Gate]) -> None:
    assert "pytest_cobbler" in reserved_modules(host_gate("false"), Python())
    assert reserved_modules(host_gate("false"), Go()) == frozenset()


def test_an_image_whose_pytest_has_no_plugins_reserves_nothing(host_gate: Callable[[str], Gate]) -> None:
    class Bare(Python):
        lists_modules = ("sh", "-c", "echo")

    assert reserved_modules(host_gate("false"), Bare()) == frozenset()


@pytest.mark.parametrize("owner", [None, (1000, 1001)])
def test_sandbox_settings_survive_a_round_trip_through_json(owner: tuple[int, int] | None) -> None:
    settings = SandboxSettings(
        image="localhost/agent",
        repository="parts",
        run_id="a",
        owner=owner,
        arguments=("--memory=1g", "-e", "A='b c'"),
        environment={"CONTAINERS_CONF": "/etc/c.conf"},
    )
    assert SandboxSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("name", ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS"])
def test_a_credential_that_the_proxy_cannot_keep_back_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-0123456789")
    path = tmp_path / "configuration.yaml"
    path.write_text(f"podman_image: localhost/agent\npodman_args: [-e, '{name}=secret-value']\n")
    with pytest.raises(UsageProblem, match=f"podman_args: {name} would be visible to the agent"):
        make_agent(load(path), "run")
    path.write_text(f"{path.read_text()}agent_network: open\n")
    make_agent(load(path), "run")


@pytest.mark.parametrize(
    ("settings", "noted"),
    [
        ("", []),
        ("test_command: tox\n", ["test"]),
        ("build_command: make\n", []),
        ("build_command: make\ntest_command: false\n", ["build"]),
        ("test_command: false\n", []),
        ("test_command: tox\ngate_copies: allow\n", []),
    ],
)
def test_own_test_commands_have_notes_on_copies(tmp_path: Path, settings: str, noted: list[str]) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text(f"sandbox: none\n{settings}")
    config = load(path)
    language = Python(accepts_copies=config.gate_copies == "allow")
    gate = make_gate(config, language, HostSandbox(repository="parts", run_id="x"), "parts")
    own = [step for step in gate.steps if step not in language.gate()]
    assert [step.name for step in own if step.notes] == noted

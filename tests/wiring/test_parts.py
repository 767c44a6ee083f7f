"""Parts are checked before anything is spent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.agents.command import CommandAgent
from pytest_cobbler.config import Config, load
from pytest_cobbler.config.agents import AGENTS
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages import Go
from pytest_cobbler.languages.python import Python
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.wiring.agents import Agents
from pytest_cobbler.wiring.api import access_of, foreign_address
from pytest_cobbler.wiring.parts import SandboxSettings, make_agent, make_gate, sandbox_settings
from pytest_cobbler.wiring.preflight import loaded_modules, preflight_gate
from tests.support.images import minimal_image
from tests.support.jobs import own_host
from tests.support.toolchain import go_arguments, go_cache, go_root
from tests.support.workplaces import ClaudeAgent, Workplace

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
        gate = make_gate(load(path), Python(), own_host(), "parts")
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


def test_a_missing_merge_driver_is_named(host_gate: Callable[[str], Gate]) -> None:
    gate = host_gate('[git, --version]\nmerge_driver: [no-such-program, "%O", "%A", "%B"]')
    with pytest.raises(UsageProblem) as caught:
        preflight_gate(gate, Python())
    assert caught.value.cause == "the gate cannot run: its sandbox does not have no-such-program"
    assert "merge_driver" in caught.value.remedy


def test_modules_of_pytests_plugins_are_reserved(host_gate: Callable[[str], Gate]) -> None:
    assert "pytest_cobbler" in loaded_modules(host_gate("false"), Python())[0]
    assert loaded_modules(host_gate("false"), Go())[0] == frozenset()


def test_an_image_whose_pytest_has_no_plugins_reserves_nothing(host_gate: Callable[[str], Gate]) -> None:
    class Bare(Python):
        lists_modules = ("sh", "-c", "echo")

    assert loaded_modules(host_gate("false"), Bare())[0] == frozenset()


DISTRIBUTIONS = {
    "the-linter": ("linter/__init__.py linter.py _linter.cpython-311.so", "Parts.Lib>=1 ; extra == 'x'", ""),
    "parts_lib": ("parts/a.py tests/test_a.py ../../bin/parts", "deeper", ""),
    "deeper": ("deep.py", "missing", ""),
    "plugin": ("words.py", "", "[linter.words]\nmore = words:check\n"),
    "else": ("other.py", "the_linter", "[console_scripts]\nelse = other:main\n"),
}


def test_modules_of_what_a_tool_of_own_commands_needs_are_known(
    host_gate: Callable[[str], Gate], tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    for name, (files, requirement, points) in DISTRIBUTIONS.items():
        place = site / f"{name}-1.dist-info"
        place.mkdir()
        needs = f"Requires-Dist: {requirement}\n" if requirement else ""
        (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{needs}")
        (place / "RECORD").write_text("".join(f"{file},,\n" for file in files.split()))
        (place / "entry_points.txt").write_text(points)
    gate = replace(host_gate("[cat]"), environment={"PATH": f"{tmp_path / 'venv/bin'}:{os.defpath}"})
    assert loaded_modules(gate, Go())[1] == {
        "linter": {"_linter", "parts", "deep", "words"},
        "_linter": {"linter", "parts", "deep"},
        "parts": {"deep"},
        "deep": set(),
        "words": set(),
        "other": {"linter", "_linter", "parts", "deep"},
    }


def test_of_default_commands_no_needs_are_asked(host_gate: Callable[[str], Gate]) -> None:
    gate = replace(host_gate("[cat]"), steps=Python().gate())
    assert loaded_modules(gate, Python())[1] == {}


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
    gate = make_gate(config, language, own_host(), "parts")
    own = [step for step in gate.steps if step not in language.gate()]
    assert [step.name for step in own if step.notes] == noted


USERNS = [("", False), ("job_userns: true", True), ("job_userns: false", False)]


@pytest.mark.parametrize(("setting", "on"), USERNS)
def test_user_namespaces_are_off_unless_the_configuration_turns_them_on(
    tmp_path: Path, setting: str, on: bool
) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text(f"podman_image: localhost/agent\n{setting}\n")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    repository = Repository(tmp_path, tmp_path / "work")
    assert sandbox_settings(load(path), repository, "run").user_namespaces is on


def test_a_foreign_address_of_the_api_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text("sandbox: none\n")
    config = load(path)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    assert foreign_address(config) == ""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://api.anthropic.com")
    assert foreign_address(config) == ""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gateway.example/v1")
    assert foreign_address(config) == "https://gateway.example/v1, from the environment"


def test_a_command_that_speaks_another_api_needs_its_key_and_its_api_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text(
        "podman_image: localhost/agent\nagent: command\nagent_command: [codex]\nagent_api: responses\n"
    )
    config = load(path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-not-for-others")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageProblem, match="agent_api: responses needs OPENAI_API_KEY"):
        make_agent(config, "run")
    assert make_agent(config, "run", stand_in=True).proxied
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    assert make_agent(config, "run").secrets == ("sk-other",)
    assert foreign_address(config) == "https://api.openai.com/v1, from agent_api: responses"
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")
    assert foreign_address(config) == "https://gateway.example/v1, from the environment"
    path.write_text(f"{path.read_text()}podman_args: [-e, OPENAI_API_KEY=sk-seen]\n")
    with pytest.raises(UsageProblem, match="OPENAI_API_KEY would be visible to the agent"):
        make_agent(load(path), "run")


HANDED = {"MY_KEY": "mine-0123456789", "SETTINGS": '{"far": [{"apiKey": "deep-0123456789", "id": "none"}]}'}


@pytest.mark.parametrize("network", ["proxy", "open", "none"])
@pytest.mark.parametrize("agent", AGENTS[:-1])
def test_secrets_of_podman_args_are_in_nothing_that_an_agent_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str, network: str
) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "sk-real-0123456789")
    variables = {**HANDED, "KEY_FILE": "/run/key", "TOKENS": "8", "SOME_TOKEN": "{env:OTHER}"}
    command = ["sh", "-c", "echo $MY_KEY; echo $SETTINGS >&2"]
    path = tmp_path / "configuration.yaml"
    settings = {
        "podman_image": "localhost/agent",
        "podman_args": [word for name, value in variables.items() for word in ("-e", f"{name}={value}")],
        "agent": agent,
        "agent_network": network,
        **({"agent_command": command} if agent in ("acp", "command") else {}),
    }
    path.write_text(yaml.safe_dump(settings))

    made = make_agent(load(path), "run")

    assert set(made.secrets) - {"sk-real-0123456789"} == {"mine-0123456789", "deep-0123456789"}
    if agent == "command" and network == "open":
        workplace = Workplace(tmp_path / "place")
        workplace.run(made)
        assert workplace.transcript.read_text() == "[credential]\n"
        assert "[credential]" in workplace.errors.read_text()


@pytest.mark.parametrize(
    ("agent", "model", "name"),
    [
        (ClaudeAgent(model="opus"), "claude-opus-4-5", "claude:claude-opus-4-5"),
        (ClaudeAgent(), "", "claude"),
        (CommandAgent(["/opt/agents/agent.sh", "-x"]), "tiny-1", "agent.sh:tiny-1"),
        (CommandAgent(["agent.sh"]), "", "agent.sh"),
    ],
)
def test_the_assistant_is_the_agent_with_its_model(agent: Agent, model: str, name: str) -> None:
    assert Agents.one(agent).first.assistant(model) == name


def test_agents_are_counted_at_the_prices_of_the_configured_file(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("ours: {input: 1, output: 2}\n")
    path = tmp_path / "configuration.yaml"
    for line, cost in (("", None), ("prices: prices.yaml\n", 2.0)):
        path.write_text(f"sandbox: none\nlanguage: none\ntest_command: 'true'\n{line}")
        prices = access_of(load(path), None).prices
        assert prices.cost_of("ours", {"output_tokens": 1_000_000}) == cost

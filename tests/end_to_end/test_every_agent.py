"""Every built-in agent, with the real program in podman and without a network; only the model is scripted."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.real_agents import (
    ACP,
    CODEX,
    DESCRIPTIONS,
    DONE,
    EVERY,
    FACTS,
    GEMINI,
    KEY,
    OPENCODE,
    OPENCODE_CHAT,
    OTHERS,
    USAGE,
    RealAgent,
    counted,
    files_with,
    models,
    paid,
)
from tests.support.scripted_api import ScriptedApi, Turn, always, error, text, tool, turn
from tests.support.sessions import by_title, came_to, seed, statuses, task

GATE = "! test -f work.txt || grep -x right work.txt || { echo work.txt has the wrong word; false; }"
SEARCH = (
    '(env; cat /proc/[0-9]*/environ; grep -r -a -s sk- /tmp /cobbler "$HOME" /proc/mounts) >found 2>&1; true'
)
PATIENCE = 600
"""Seconds for a run: opencode and gemini compute for many of them before their first request."""


Shows = Callable[[str], None]


def cast(*names: str, always: bool = False) -> list[Any]:
    """The agents of these names, or all."""
    marks = {name: [pytest.mark.claude] if name == "claude" else [] for name in EVERY}
    return [
        pytest.param(one, id=name, marks=[*marks[name], *([pytest.mark.every_run] if always else [])])
        for name, one in EVERY.items()
        if name in (names or EVERY)
    ]


@pytest.fixture(params=cast())
def other(request: pytest.FixtureRequest) -> RealAgent:
    found: RealAgent = request.param
    return found


@pytest.fixture
def shows(other: RealAgent, record_property: Callable[[str, object], None]) -> Shows:
    """Writes a fact about the agent to the report, from which the table is made."""
    record_property("agent", other.name)

    def show(fact: str) -> None:
        assert fact in FACTS
        record_property("shown", fact)

    return show


@pytest.fixture
def project(cobbler_project: Project, minimal_image: str, other: RealAgent, tmp_path: Path) -> Project:
    cobbler_project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=other.mounted(tmp_path),
        test_command=GATE,
        max_attempts=1,
        cycles=0,
        **other.usual,
    )
    return cobbler_project


@pytest.mark.parametrize(
    "other",
    [
        *cast(always=True),
        *(pytest.param(one, id=one.name) for one in OTHERS),
    ],
    indirect=True,
)
def test_a_task_lands_and_costs_what_the_api_counts(
    project: Project, other: RealAgent, api: ScriptedApi, shows: Shows
) -> None:
    project.write({"AGENTS.md": "Rule: simsalabim.\n"})
    project.commit("Rules")
    seed(project, task("p-1", title="Write hello.txt"))
    write = f"{SEARCH}; cat /proc/net/dev >devices; echo hello >hello.txt"
    api.script("Write hello.txt", [other.runs(write), DONE])

    result = project.run("--cobbler-generate", env=other.environment(api), timeout=PATIENCE)

    assert check(project, result) == []
    assert came_to(result) == {"stitch::p-1": "landed"}
    files = project.files()
    assert files["hello.txt"] == "hello\n"
    assert models(project) == [other.model]
    lines = "\n".join(result.outlines)
    assert other.shown in lines
    word = "simsalabim" if other.agent != "acp" else "/instructions.md"
    assert word in json.dumps(api.requests[0].body)
    shows("lands")

    assert len(api.requests) == 2
    assert paid(project) == counted(api, other.model)
    shows("tokens and money equal")

    assert all(KEY in " ".join(request.headers.values()) for request in api.requests)
    assert f"{other.key}=sk-" in files["found"]
    assert "stand-in" in files["found"]
    assert KEY not in files["found"]
    assert files_with(project.directory, KEY) == []
    assert KEY not in lines
    shows("key found nowhere")

    assert [line.split(":")[0].strip() for line in files["devices"].splitlines()[2:]] == ["lo"]
    (log,) = (project.directory / "work").glob("*/log/events.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    paths = [event["path"].partition("?")[0] for event in events if event["event"] == "request"]
    assert set(paths) == {other.path}
    shows("zero network")


@pytest.mark.every_run
def test_a_red_gate_is_the_next_turn_of_the_same_conversation(
    project: Project, other: RealAgent, api: ScriptedApi, shows: Shows
) -> None:
    project.configure(max_attempts=2)
    seed(project, task("p-1", title="Write it"))
    wrong, right = (other.runs(f"echo {word} >work.txt") for word in ("wrong", "right"))
    api.script("Write it", [wrong, DONE], [right, DONE])

    result = project.run("--cobbler-generate", env=other.environment(api), timeout=PATIENCE)

    assert came_to(result) == {"stitch::p-1": "landed"}
    assert "work.txt has the wrong word" in api.requests[2].prompt
    assert api.requests[2].prompt.startswith("Your work was merged, but the commands that check it failed.")
    assert "Write it" in json.dumps(api.requests[2].body), "the first message is in the conversation"
    assert paid(project) == counted(api, other.model)
    assert not list((project.directory / "work").glob("*/sessions/*/*/*"))
    assert check(project, result) == []
    shows("repaired in the same conversation")


def test_an_agent_that_a_killed_run_cut_off_goes_on(
    project: Project, other: RealAgent, api: ScriptedApi, shows: Shows
) -> None:
    seed(project, task("p-1", title="Write it"))
    busy = other.runs("echo half >work.txt; exec tail -f /dev/null")
    api.script("Write it", [busy], [other.runs("echo right >work.txt"), DONE])
    running = project.start("--cobbler-generate", env=other.environment(api))
    work = project.directory / "work"
    running.wait_until(lambda: any(path.read_text() for path in work.glob("*/*/*/tree/work.txt")), PATIENCE)
    running.send_signal(signal.SIGKILL)
    running.wait()

    result = project.run("--cobbler-resume", env=other.environment(api), timeout=PATIENCE)

    assert came_to(result) == {"stitch::p-1": "landed"}
    assert "You were cut off before the task was done." in api.requests[1].prompt
    assert "Write it" in json.dumps(api.requests[1].body), "the first message is in the conversation"
    assert paid(project) == counted(api, other.model)
    assert check(project, result) == []
    shows("killed and gone on")


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (error(429, "slow down", headers={"retry-after": str(24 * 3600)}), "limited"),
        (error(401, "bad key"), "access"),
    ],
    ids=["limited", "refused"],
)
def test_an_api_that_does_not_serve_the_agent_ends_the_run(
    project: Project, other: RealAgent, api: ScriptedApi, shows: Shows, answer: Turn, cause: str
) -> None:
    seed(project, task("p-1", title="Write it"))
    api.script("Write it", [always(answer)])

    result = project.run("--cobbler-generate", "-rs", env=other.environment(api), timeout=PATIENCE)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert came_to(result) == {"stitch::p-1": "limited"}
    case = by_title(result)["Write it"]
    assert case.properties["cobbler_cause"] == cause
    # Some programs show the status of an answer, some its words, and some both.
    words = (f"API error {answer.status}", "slow down", "bad key")
    assert any(word in case.message for word in words), case.message
    assert statuses(project) == {"p-1": "open"}
    shows("limited" if cause == "limited" else "refused key")


def opencode_options(provider: str, model: str, options: dict[str, Any]) -> Callable[[Project, Path], None]:
    """Lets opencode send ``options`` with each request."""

    def configure(project: Project, directory: Path) -> None:
        settings = directory / "opencode.json"
        models = {model: {"options": options}}
        settings.write_text(json.dumps({"provider": {provider: {"models": models}}}))
        project.configure(
            podman_args=[
                *project.configuration["podman_args"],
                *("-v", f"{settings}:/opencode.json:ro", "-e", "OPENCODE_CONFIG=/opencode.json"),
            ]
        )

    return configure


def gemini_cache(project: Project, directory: Path) -> None:
    """Lets gemini name a cache at the API with each request. Its own search cannot be turned on again."""
    settings = directory / "gemini.json"
    configured = {"generateContentConfig": {"cachedContent": "cachedContents/other"}}
    overrides = [{"match": {"model": GEMINI.model}, "modelConfig": configured}]
    settings.write_text(json.dumps({"modelConfigs": {"customOverrides": overrides}}))
    project.configure(
        podman_args=[
            *project.configuration["podman_args"],
            *("-v", f"{settings}:/gemini.json:ro", "-e", "GEMINI_CLI_SYSTEM_SETTINGS_PATH=/gemini.json"),
        ]
    )


def codex_search(project: Project, _directory: Path) -> None:
    arguments = ["--dangerously-bypass-approvals-and-sandbox", "-c", 'web_search="live"']
    project.configure(codex_args=arguments, model="gpt-5")


MCP = {"mcpServers": [{"type": "url", "name": "far", "url": "https://example.com/mcp"}]}


@pytest.mark.parametrize(
    ("other", "configure", "name"),
    [
        pytest.param(CODEX, codex_search, "web_search", id="codex"),
        pytest.param(
            OPENCODE, opencode_options("anthropic", OPENCODE.model, MCP), "mcp_servers", id="opencode"
        ),
        pytest.param(
            OPENCODE_CHAT,
            opencode_options("cobbler", OPENCODE_CHAT.model, {"web_search_options": {}}),
            "web_search_options",
            id="opencode-chat",
        ),
        pytest.param(GEMINI, gemini_cache, "cachedContent", id="gemini"),
        pytest.param(ACP, opencode_options("anthropic", OPENCODE.model, MCP), "mcp_servers", id="acp"),
    ],
    indirect=["other"],
)
def test_a_tool_at_the_api_is_refused(
    project: Project,
    other: RealAgent,
    api: ScriptedApi,
    shows: Shows,
    tmp_path: Path,
    configure: Callable[[Project, Path], None],
    name: str,
) -> None:
    configure(project, tmp_path)
    seed(project, task("p-1", title="Write it"))

    result = project.run("--cobbler-generate", env=other.environment(api), timeout=PATIENCE)

    assert came_to(result) == {"stitch::p-1": "failed"}
    message = by_title(result)["Write it"].message
    assert f"the proxy refused POST {other.path}: {name} is not in hosted_tools" in message
    assert api.requests == []
    shows("hosted tool refused")


@pytest.mark.parametrize("other", cast("claude"), indirect=True)
def test_a_search_of_claude_is_refused(
    project: Project, other: RealAgent, api: ScriptedApi, shows: Shows
) -> None:
    seed(project, task("p-1", title="Write it"))
    search = turn(tool("WebSearch", query="the secret"), usage=USAGE)
    api.script("Write it", [search, other.runs("echo right >work.txt"), DONE])

    result = project.run("--cobbler-generate", env=other.environment(api), timeout=PATIENCE)

    assert came_to(result) == {"stitch::p-1": "landed"}
    assert len(api.requests) == 3
    assert "web_search is not in hosted_tools" in json.dumps(api.requests[1].body)
    shows("hosted tool refused")


def test_the_doctor_knows_the_agent_and_asks_it_a_question(
    project: Project, other: RealAgent, api: ScriptedApi, shows: Shows
) -> None:
    api.script("only tests that you can be reached", [turn(text("ready"), usage=USAGE)])

    result = project.run(
        "--cobbler-doctor", "--cobbler-live", "--cobbler-format=json", env=other.environment(api)
    )

    found = {one["name"]: one for one in json.loads("\n".join(result.outlines))["checks"]}
    assert {found[name]["status"] for name in ("agent", "credential", "network", "live")} == {"ok"}
    assert f"from {other.key} in the environment; used at {api.url}" in found["credential"]["text"]
    if other.agent != "acp":
        version = DESCRIPTIONS[other.agent].tested
        assert found["agent"]["text"].endswith(f": starts, version {version}")
    _, cost = counted(api, other.model)
    assert found["live"]["text"].startswith(f"{other.shown} answered in ")
    assert found["live"]["text"].endswith(f" s, {cost:.4f} USD")
    assert len(api.requests) == 1
    assert KEY not in result.stdout.str()
    shows("asked by the doctor")


@pytest.mark.parametrize("other", cast("claude", "codex", "opencode", "gemini"), indirect=True)
def test_skills_are_those_of_the_base_and_not_those_of_the_checkout(
    project: Project, other: RealAgent, api: ScriptedApi
) -> None:
    project.configure(max_attempts=2)
    places = [f"{place}/skills/ship" for place in (".agents", ".claude", ".gemini", ".opencode", ".codex")]
    skill = "---\nname: ship\ndescription: {word}\n---\n{word}\n"
    project.write({f"{place}/SKILL.md": skill.format(word="simsalabim") for place in places})
    project.commit("A skill")
    seed(project, task("p-1", title="Write it"))
    change = " ".join(f"{place}/SKILL.md" for place in places)
    evil = f"sed -i s/sim.*bim/abra''cadabra/ {change}; echo right >work.txt"
    good = f"sed -i s/abra.*bra/sim''salabim/ {change}"
    api.script("Write it", [other.runs(evil), DONE], [other.runs(good), DONE])

    result = project.run("--cobbler-generate", env=other.environment(api), timeout=PATIENCE)

    assert came_to(result) == {"stitch::p-1": "landed"}
    bodies = [json.dumps(request.body) for request in api.requests]
    assert "a protected path" in bodies[2]
    assert ["* ship: simsalabim (" in body for body in bodies] == [True] * 4
    assert ["abracadabra" in body for body in bodies] == [False] * 4

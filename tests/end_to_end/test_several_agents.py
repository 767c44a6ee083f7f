"""The real claude and the real codex in one run, in podman without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support import parts
from tests.support.scripted_api import ScriptedApi, Turn, always, error, text, tool, turn
from tests.support.sessions import by_title, came_to, records, seed, statuses, task

MODELS = {"claude": "claude-opus-4-5", "codex": "gpt-6-sol"}
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-api03-first-Zm9v", "OPENAI_API_KEY": "sk-second-YmFyYmF6cXV4"}
USAGE = {
    "input_tokens": 1_000,
    "output_tokens": 100,
    "cache_read_input_tokens": 400,
    "cache_creation_input_tokens": 200,
}
DONE = turn(text("Done."), usage=USAGE)
GATE = "! test -f work.txt || grep -x right work.txt || { echo work.txt has the wrong word; false; }"
LATER = {"retry-after": "900"}


def by_claude(command: str) -> Turn:
    return turn(tool("Bash", command=command, description="Work"), usage=USAGE)


def by_codex(command: str) -> Turn:
    return turn(tool("exec_command", cmd=command), usage=USAGE)


@pytest.fixture
def openai() -> Iterator[ScriptedApi]:
    """The model that codex talks to."""
    with ScriptedApi() as server:
        yield server
    assert not server.failures


@pytest.fixture
def project(project: Project) -> Project:
    program = parts.need("codex")
    project.configure(
        podman_args=[*project.configuration["podman_args"], "-v", f"{program}:/usr/local/bin/codex:ro"],
        agent=["claude", "codex"],
        model=MODELS,
        test_command=GATE,
        max_attempts=2,
        budget_usd=50,
        jobs=1,
    )
    return project


def environment(api: ScriptedApi, openai: ScriptedApi) -> dict[str, str]:
    return {**api.environment, "OPENAI_BASE_URL": f"{openai.url}/v1", **KEYS}


def told(project: Project, *options: str) -> Any:
    return json.loads("\n".join(project.run(*options, "--cobbler-format=json").outlines))


def cost(name: str) -> float:
    """US dollars of one answer of a model."""
    price = PriceList().cost_of(MODELS[name], USAGE)
    assert price is not None
    return price


def test_codex_goes_on_with_the_work_of_a_limited_claude_and_each_attempt_has_its_name_and_price(
    project: Project, api: ScriptedApi, openai: ScriptedApi
) -> None:
    project.write({"AGENTS.md": "Rule: simsalabim.\n", "CLAUDE.md": "Rule: abracadabra.\n"})
    project.commit("Rules")
    seed(project, task("p-1", title="Write it"), task("p-2", title="Add another", priority=3))
    limited = error(429, "slow down", headers=LATER)
    api.script("Write it", [by_claude("echo half >half.txt"), always(limited)])
    openai.script("Write it", [by_codex("echo right >work.txt"), DONE])
    openai.script("Add another", [by_codex("echo more >more.txt"), DONE])

    result = project.run("--cobbler-generate", "-v", env=environment(api, openai))

    assert came_to(result) == {"stitch::p-1": "landed", "stitch::p-2": "landed"}
    assert check(project, result) == []
    files = project.files()
    assert (files["half.txt"], files["work.txt"]) == ("half\n", "right\n"), "the work went on"
    lines = "\n".join(result.outlines)
    assert "agent: claude, claude-opus-4-5, 1 in parallel, network proxy (the API alone)" in lines
    assert "agent: codex, gpt-6-sol, while claude is limited, network proxy (the API alone)" in lines
    assert "new attempts are by codex until " in lines
    assert "api of claude: " in lines
    result.stdout.re_match_lines([r".*stitch::p-1 Write it \(claude, codex, .* USD\) .*LANDED"])
    result.stdout.fnmatch_lines(["*p-1 Write it: codex starts (attempt 2)"])

    # Each has the instructions that it reads, and its own conversation; neither has the other's key.
    assert "abracadabra" in json.dumps(api.requests[0].body)
    assert "simsalabim" in json.dumps(openai.requests[0].body)
    assert "Write it" in openai.requests[0].prompt
    assert len({one.session_id for one in openai.requests}) == 2
    assert {request.headers["x-api-key"] for request in api.requests} == {KEYS["ANTHROPIC_API_KEY"]}
    assert {one.headers["authorization"] for one in openai.requests} == {f"Bearer {KEYS['OPENAI_API_KEY']}"}

    # Who did it, and at what price, in every record.
    case = by_title(result)["Write it"]
    assert (case.properties["cobbler_agents"], case.properties["cobbler_model"]) == (
        "claude, codex",
        "gpt-6-sol",
    )
    assert float(case.properties["cobbler_cost_usd"]) == pytest.approx(cost("claude") + 2 * cost("codex"))
    (generation,) = project.path.glob(".cobbler/generation-*")
    results = [json.loads((generation / f"attempts/p-1/{one}/result.json").read_bytes()) for one in (1, 2)]
    assert [one["agent"] for one in results] == ["claude", "codex"]
    assert [one["cost_usd"] for one in results] == pytest.approx([cost("claude"), 2 * cost("codex")])
    assert "Assisted-by: codex:gpt-6-sol" in project.git("log", "--format=%B", f"{generation.name}")
    written: list[Any] = [record["agents"] for record in records(project)]
    assert {name: one["attempts"] for name, one in max(written, key=len).items()} == {"claude": 1, "codex": 1}
    stats = told(project, "--cobbler-stats")["generations"][0]["agents"]
    assert {name: one["attempts"] for name, one in stats.items()} == {"claude": 1, "codex": 2}
    assert stats["codex"]["cost_usd"] == pytest.approx(4 * cost("codex"))
    assert told(project, "--cobbler-list")["generations"][0]["agents"] == ["claude", "codex"]
    assert any(", by claude and codex " in line for line in project.run("--cobbler-list").outlines)
    shown = "\n".join(project.run("--cobbler-show=p-1").outlines)
    assert "agent: claude, " in shown
    assert "agent: codex, " in shown
    spent = cost("claude") + 4 * cost("codex")
    assert f"budget: {spent:.4f} of 50.00 USD spent (budget_usd)" in lines, "the budget is one"


def test_a_red_gate_stays_with_its_agent_and_its_conversation(
    project: Project, api: ScriptedApi, openai: ScriptedApi
) -> None:
    seed(project, task("p-1", title="Write it"))
    api.script(
        "Write it", [by_claude("echo wrong >work.txt"), DONE], [by_claude("echo right >work.txt"), DONE]
    )

    result = project.run("--cobbler-generate", env=environment(api, openai))

    assert came_to(result) == {"stitch::p-1": "landed"}
    assert openai.requests == []
    assert len({request.session_id for request in api.requests}) == 1


def test_a_refused_key_ends_the_run_and_no_other_agent_is_asked(
    project: Project, api: ScriptedApi, openai: ScriptedApi
) -> None:
    seed(project, task("p-1", title="Write it"))
    api.script("", [always(error(401, "invalid x-api-key"))])

    result = project.run("--cobbler-generate", "-rs", env=environment(api, openai))

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert (came_to(result), statuses(project)) == ({"stitch::p-1": "limited"}, {"p-1": "open"})
    assert openai.requests == []


def test_a_run_ends_as_limited_when_no_agent_is_served(
    project: Project, api: ScriptedApi, openai: ScriptedApi
) -> None:
    seed(project, task("p-1", title="Write it"))
    day = {"retry-after": str(24 * 3600)}
    api.script("", [always(error(429, "usage limit", headers=day))])
    openai.script("", [always(error(429, "usage limit", headers=day))])

    result = project.run("--cobbler-generate", "-rs", env=environment(api, openai))

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert (came_to(result), statuses(project)) == ({"stitch::p-1": "limited"}, {"p-1": "open"})
    assert api.requests
    assert openai.requests


def test_every_agent_is_checked_before_anything_is_spent(
    project: Project, api: ScriptedApi, openai: ScriptedApi
) -> None:
    seed(project, task("p-1", title="Write it"))
    without_key = {**environment(api, openai), "OPENAI_API_KEY": ""}
    result = project.run("--cobbler-generate", env=without_key)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*agent: codex needs OPENAI_API_KEY*"])
    assert any("OPENAI_API_KEY" in line for line in project.run("--cobbler-doctor", env=without_key).outlines)

    project.configure(podman_args=project.configuration["podman_args"][:-2])
    result = project.run("--cobbler-generate", env=environment(api, openai))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*codex*"])
    assert api.requests == openai.requests == []


def test_a_label_chooses_the_agent_and_a_failure_the_stronger_model(
    project: Project, api: ScriptedApi, openai: ScriptedApi
) -> None:
    project.configure(escalate={"codex": "gpt-5.5"})
    seed(project, task("p-1", title="Write it", labels=["agent:codex"]))
    # For a model that cannot read what another one has thought, codex has the conversation summed up first.
    summary = turn(text("The word is wrong."), usage=USAGE)
    wrong, right = (by_codex(f"echo {word} >work.txt") for word in ("wrong", "right"))
    openai.script("Write it", [wrong, DONE, summary], [right, DONE])

    result = project.run("--cobbler-generate", env=environment(api, openai))

    assert came_to(result) == {"stitch::p-1": "landed"}
    assert api.requests == []
    assert [request.body["model"] for request in openai.requests] == ["gpt-6-sol"] * 3 + ["gpt-5.5"] * 2
    assert len({request.session_id for request in openai.requests}) == 1, "the conversation goes on"

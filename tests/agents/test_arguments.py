"""What claude and codex are started with, without starting them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.described import DescribedAgent
from pytest_cobbler.agents.descriptions.claude import DEFAULT_ARGUMENTS
from pytest_cobbler.agents.descriptions.codex import Codex
from pytest_cobbler.causes import Ending
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Capability, Completed, Engine, Job, Limits, Mount, Network
from tests.support.workplaces import KEY, ClaudeAgent, Workplace


class Recorder:
    """A sandbox that runs nothing."""

    description = "nothing is run"
    capabilities: frozenset[Capability] = frozenset()
    storage: Path | None = None
    runtime = ""

    def __init__(self, owner: tuple[int, int] | None = (1000, 1000)) -> None:
        self.owner = owner
        self.jobs: list[Job] = []

    def check_engine(self) -> str:
        return self.description

    def engine(self, _image: str | None) -> Engine:
        return Engine(runtime=self.description)

    def preflight(self) -> None:
        pass

    def run(self, job: Job, _cancellation: Cancellation | None = None) -> Completed:
        self.jobs.append(job)
        return Completed(status=0, cause=Ending.EXITED, seconds=0.0, stderr="")

    def left(self) -> list[str]:
        return []

    def sweep(self) -> list[str]:
        return []


def job_of(agent: ClaudeAgent, workplace: Workplace, sandbox: Recorder | None = None, **changes: Any) -> Job:
    sandbox = sandbox or Recorder()
    agent.run(workplace.request(**changes), sandbox, Cancellation())
    return sandbox.jobs[0]


def value_of(job: Job, name: str) -> str:
    assert job.argv.count(name) == 1
    return job.argv[job.argv.index(name) + 1]


def codex_job(workplace: Workplace, *arguments: str, **changes: Any) -> Job:
    sandbox = Recorder()
    described = Codex(arguments=arguments, address="http://127.0.0.1:8377/v1", model="gpt-6-sol")
    DescribedAgent(described, Access()).run(workplace.request(**changes), sandbox, Cancellation())
    return sandbox.jobs[0]


def test_codex_has_the_settings_that_it_needs_and_no_option_twice(workplace: Workplace) -> None:
    argv = codex_job(workplace).argv
    begins = argv.index("codex")
    assert argv[begins:][:2] == ("codex", "exec")
    assert argv[-1] == "-"
    assert argv[begins - 1] == "--"
    assert 'web_search="disabled"' in argv
    assert any('base_url="http://127.0.0.1:8377/v1"' in word for word in argv)
    own = codex_job(workplace, "-m", "mine", "--json", "-c", 'web_search="live"').argv
    assert (own.count("--json"), own.count("--model"), own[-6:-1]) == (
        1,
        0,
        ("-m", "mine", "--json", "-c", 'web_search="live"'),
    )


def test_a_hook_changes_the_command_line_of_codex_and_not_what_makes_its_home(workplace: Workplace) -> None:
    job = codex_job(workplace, command=lambda argv: ("nice", *argv), system_prompt_file="/rules.md")
    assert job.argv[:2] == ("sh", "-c")
    begins = job.argv.index("--")
    assert job.argv[3:9] == ("home", "CODEX_HOME", ".codex", "copy", "AGENTS.md", "/rules.md")
    assert job.argv[9:begins] == ("hide", "config.toml", ".agents/skills .codex/skills")
    assert job.argv[begins + 1] == "nice"


def test_the_default(workplace: Workplace) -> None:
    job = job_of(ClaudeAgent(), workplace)

    assert job.argv[: len(DEFAULT_ARGUMENTS) + 1] == ("claude", *DEFAULT_ARGUMENTS)
    assert all(job.argv.count(argument) == 1 for argument in DEFAULT_ARGUMENTS)
    assert value_of(job, "--setting-sources") == "user"
    assert len(value_of(job, "--session-id")) == 36
    assert "--model" not in job.argv
    assert "--max-budget-usd" not in job.argv


def test_what_the_reader_needs_is_added(workplace: Workplace) -> None:
    job = job_of(ClaudeAgent(["--dangerously-skip-permissions"]), workplace)

    assert "-p" in job.argv
    assert "--verbose" in job.argv
    assert value_of(job, "--output-format") == "stream-json"


def test_an_output_that_cannot_be_read_is_overruled(workplace: Workplace) -> None:
    job = job_of(ClaudeAgent(["-p", "--output-format=text"]), workplace)

    assert job.argv[-1 - job.argv[::-1].index("--output-format") :][1] == "stream-json"


@pytest.mark.parametrize(
    "given",
    [
        ["--model", "haiku"],
        ["--model=haiku"],
        ["--print"],
        ["--settings", "{}"],
        ["--setting-sources", "user,project"],
        ["--strict-mcp-config"],
        ["--session-id", "6c3b3c1e-6f0a-4b1e-9a1e-0d6f0f4c5a11"],
        ["--max-budget-usd", "1"],
        ["--output-format=stream-json"],
    ],
)
def test_what_the_user_gives_is_not_given_again(workplace: Workplace, given: list[str]) -> None:
    job = job_of(ClaudeAgent(given, model="opus"), workplace, budget_usd=5.0)

    names = [argument.split("=")[0] for argument in job.argv]
    same = {"--print": "-p"}.get(given[0], given[0].split("=")[0])
    assert names.count(given[0].split("=")[0]) + (names.count(same) if same not in given[0] else 0) == 1


@pytest.mark.parametrize(
    "given",
    [
        ["--append-system-prompt", "Never write --output-format stream-json"],
        ["--append-system-prompt", "--output-format stream-json"],
        ["--append-system-prompt=--output-format stream-json"],
        ["--output-format", "stream-json", "--output-format", "text"],
    ],
)
def test_a_format_in_the_value_of_another_option_is_not_the_format(
    workplace: Workplace, given: list[str]
) -> None:
    argv = job_of(ClaudeAgent(given), workplace).argv

    assert argv[: len(given) + 1] == ("claude", *given)
    assert ("--output-format", "stream-json") in itertools.pairwise(argv[len(given) + 1 :])


@pytest.mark.parametrize(
    ("given", "option"),
    [
        (["--append-system-prompt", "-p"], "-p"),
        (["-n", "-p"], "-p"),
        (["--name", "--print"], "-p"),
        (["--system-prompt", "--verbose"], "--verbose"),
        (["--system-prompt", "--model"], "--model"),
        (["--append-system-prompt", "--session-id"], "--session-id"),
        (["--append-system-prompt", "-r"], "--session-id"),
    ],
)
def test_an_option_that_is_the_value_of_another_one_is_not_given(
    workplace: Workplace, given: list[str], option: str
) -> None:
    argv = job_of(ClaudeAgent(given, model="opus"), workplace).argv

    assert option in argv[len(given) + 1 :]


@pytest.mark.parametrize("given", [["-pc"], ["-cp"], ["-c", "-p"], ["--print", "-rx"]])
def test_short_options_may_stand_together(workplace: Workplace, given: list[str]) -> None:
    argv = job_of(ClaudeAgent(given), workplace).argv

    assert "-p" not in argv[len(given) + 1 :]
    assert "--session-id" not in argv


def test_options_are_added_before_the_end_of_the_options(workplace: Workplace) -> None:
    argv = job_of(ClaudeAgent(["--verbose", "--", "-p", "words"], model="opus"), workplace).argv

    assert argv[-3:] == ("--", "-p", "words")
    assert {"-p", "--model", "--session-id", "--output-format"} <= set(argv[:-3])


@pytest.mark.parametrize("given", [["--resume", "x"], ["-c"], ["--continue"]])
def test_a_session_that_goes_on_gets_no_new_id(workplace: Workplace, given: list[str]) -> None:
    assert "--session-id" not in job_of(ClaudeAgent(given), workplace).argv


def test_model_budget_and_instructions(workplace: Workplace) -> None:
    job = job_of(ClaudeAgent(model="opus"), workplace, budget_usd=0.5, system_prompt_file="/notes.md")

    assert value_of(job, "--model") == "opus"
    assert float(value_of(job, "--max-budget-usd")) == 0.5
    assert value_of(job, "--append-system-prompt-file") == "/notes.md"


def test_each_run_is_a_session_of_its_own(workplace: Workplace) -> None:
    agent = ClaudeAgent()

    ids = {value_of(job_of(agent, workplace), "--session-id") for _ in range(3)}

    assert len(ids) == 3


def test_the_credential_is_a_secret_and_nothing_else(workplace: Workplace) -> None:
    job = job_of(ClaudeAgent(credential=KEY, base_url="https://example.org"), workplace)

    assert job.secrets == {"ANTHROPIC_API_KEY": KEY.value}
    assert job.environment["ANTHROPIC_BASE_URL"] == "https://example.org"
    assert KEY.value not in repr((job.argv, job.environment, job.stdin))


@pytest.mark.parametrize(("owner", "told"), [((1000, 1000), False), ((0, 0), True)])
def test_only_root_is_told_that_this_is_a_sandbox(
    workplace: Workplace, owner: tuple[int, int], told: bool
) -> None:
    job = job_of(ClaudeAgent(), workplace, Recorder(owner))

    assert ("IS_SANDBOX" in job.environment) is told


@pytest.mark.parametrize("uid", [0, 1000])
def test_without_an_owner_the_caller_counts(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, uid: int
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)

    assert ("IS_SANDBOX" in job_of(ClaudeAgent(), workplace, Recorder(None)).environment) is (uid == 0)


def test_the_job_is_what_was_asked_for(workplace: Workplace) -> None:
    mounts = (Mount(source=Path("/a"), target="/a", mode="rw"),)
    limits = Limits(wall=1.0, memory=5)

    job = job_of(ClaudeAgent(), workplace, mounts=mounts, limits=limits, network=Network.NONE)

    assert job.name == "stitch-cobbler-1-1"
    assert job.workdir == str(workplace.worktree)
    assert (job.mounts, job.limits, job.network) == (mounts, limits, Network.NONE)
    assert job.stdin == b"Write hello.txt"


def test_silence_with_exit_status_0_is_no_success(workplace: Workplace) -> None:
    result = ClaudeAgent().run(workplace.request(), Recorder(), Cancellation())

    assert result.error == "agent: no result"

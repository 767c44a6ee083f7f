from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pytest_cobbler.config import Config, load, schema
from pytest_cobbler.config.agents import AGENTS
from pytest_cobbler.config.reference import ANCESTOR, renewed
from pytest_cobbler.config.sections import SECTIONS
from pytest_cobbler.config.values import one_of
from pytest_cobbler.errors import ConfigurationProblem, UsageProblem

NAMES = one_of(*AGENTS).words
IMAGE = "podman_image: localhost/agent\n"

Loaded = Callable[..., Config]
Errors = Callable[..., list[str]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, and the directory that pytest is run in."""
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def loaded(root: Path) -> Loaded:
    def loaded(text: str = "", **overrides: object) -> Config:
        (root / "configuration.yaml").write_text(IMAGE + text)
        return load(root / "configuration.yaml", overrides)

    return loaded


@pytest.fixture
def errors(root: Path) -> Errors:
    def errors(text: str | bytes, **overrides: object) -> list[str]:
        """The lines of the error, without a heading."""
        path = root / "configuration.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigurationProblem) as caught:
            load(path, overrides)
        assert "sk-secret" not in str(caught.value)
        lines = str(caught.value).splitlines()
        return lines[1:] if re.fullmatch(r"configuration.yaml: \d+ errors", lines[0]) else lines

    return errors


# Below the top of a repository


@pytest.mark.parametrize(
    ("directory", "prefix"),
    [
        ("api", "api-generation-"),
        ("services/api.v2", "services-api-v2-generation-"),
        ("ä/[b] c", "b-c-generation-"),
        ("ä", "generation-"),
        ("x" * 250, "x" * 68 + "-generation-"),
    ],
)
def test_generations_are_named_after_the_directory(root: Path, directory: str, prefix: str) -> None:
    path = root / directory / "configuration.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(IMAGE)
    assert load(path).gen_prefix == prefix
    path.write_text(IMAGE + "gen_prefix: mine-\n")
    assert load(path).gen_prefix == "mine-"


def test_patterns_may_begin_at_the_top_of_the_repository(root: Path) -> None:
    path = root / "api" / "configuration.yaml"
    path.parent.mkdir()
    path.write_text(IMAGE + "allow_paths: [/shared/**, own]\nspec_globs: {all: /docs/*.md}\n")
    config = load(path)
    assert (config.allow_paths, config.spec_globs) == (("/shared/**", "own"), {"all": "/docs/*.md"})
    path.write_text(IMAGE + "allow_paths: [../shared]\n")
    with pytest.raises(ConfigurationProblem, match="leaves the project: begin it with / at the top"):
        load(path)


# What a good file means


def test_the_smallest_file_gives_every_default(loaded: Loaded, root: Path) -> None:
    config = loaded()

    assert (config.path, config.root) == (root / "configuration.yaml", root)
    assert config.podman_image == "localhost/agent"
    assert (config.gen_prefix, config.beads_dir, config.cobbler_dir) == (
        "generation-",
        root / ".beads",
        root / ".cobbler",
    )
    assert config.claude_args == (
        "--dangerously-skip-permissions",
        "-p",
        "--verbose",
        "--output-format",
        "stream-json",
    )
    assert (config.max_issues, config.cycles, config.jobs, config.max_attempts) == (10, 1, 2, 2)
    assert (config.estimated_lines_min, config.estimated_lines_max) == (250, 350)
    assert (config.task_timeout, config.idle_timeout, config.gate_timeout) == (1800, 600, 900)
    assert (config.sandbox, config.agent, config.tracker) == ("podman", "claude", "auto")
    assert (config.agent_network, config.gate_network) == ("proxy", "none")
    assert (config.silence_agent, config.unsafe_podman_args, config.reset_sources) == (True, False, None)
    assert (config.language, config.build_command, config.test_command, config.work_dir) == (None,) * 4
    assert config.token_path == root / ".secrets" / "claude.json"


def test_a_written_zero_or_false_is_zero_or_false(loaded: Loaded) -> None:
    config = loaded(
        "cycles: 0\nmax_issues: 0\nsilence_agent: false\nreset_sources: false\n"
        "task_timeout: 0\nbuild_command: false\n"
    )

    assert (config.cycles, config.max_issues) == (0, 0)
    assert (config.silence_agent, config.reset_sources) == (False, False)
    assert config.task_timeout is None
    assert config.build_command is False


def test_an_empty_value_asks_for_the_default(loaded: Loaded) -> None:
    keys = [key for key in Config.model_fields if key != "podman_image"]
    assert loaded("".join(f"{key}:\n" for key in keys)) == loaded()


def test_a_text_that_may_be_missing_may_be_empty(loaded: Loaded) -> None:
    keys = (
        "module_path",
        "generation_branch",
        "token_file",
        "measure_prompt",
        "stitch_prompt",
        "user_prompt",
    )
    assert loaded("".join(f'{key}: ""\n' for key in keys)) == loaded()


def test_the_configuration_is_frozen(loaded: Loaded) -> None:
    with pytest.raises(ValidationError):
        loaded().cycles = 3


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1.5h", 5400),
        ("0.5", 0.5),
        ('"90"', 90),
        ("0s", None),
    ],
)
def test_times(loaded: Loaded, written: str, seconds: float | None) -> None:
    assert loaded(f"idle_timeout: {written}\n").idle_timeout == seconds


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("claude_args", "-p --model 'a b'", ("-p", "--model", "a b")),
        ("claude_args", "[-p, 3]", ("-p", "3")),
        ("claude_args", "[]", ()),
        ("build_command", "make && make check", ("sh", "-c", "make && make check")),
        ("test_command", "[go, test, ./...]", ("go", "test", "./...")),
        ("protected_paths", "[docs/, '*.lock']", ("docs/", "*.lock")),
        ("spec_globs", "{docs: 'docs/**/*.md', 1: b}", {"docs": "docs/**/*.md", "1": "b"}),
        ("module_path", "1.10", "1.10"),
        ("base_branch", "2024-01-01", "2024-01-01"),
        ("gen_prefix", "gen_", "gen_"),
        ("generation_branch", "generation-2025-01-02-03-04-05", "generation-2025-01-02-03-04-05"),
        ("language", "none", "none"),
        ("silence_agent", "no", False),
        ("model", "claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("user_prompt", "|\n  two\n  lines", "two\nlines\n"),
        ("task_label", "cobbler", "cobbler"),
        ("budget_usd", "0.5", 0.5),
        ("generation_budget_usd", "20", 20.0),
        ("task_budget_usd", "", None),
        ("budget_tokens", "1000000", 1_000_000),
    ],
)
def test_values(loaded: Loaded, key: str, written: str, value: object) -> None:
    assert getattr(loaded(f"{key}: {written}\n"), key) == value


def test_paths_are_relative_to_the_file_not_to_the_working_directory(
    root: Path, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "sub").mkdir()
    loaded("source_dirs: [src, ./lib/../core]\nsecrets_dir: keys\ntoken_file: mine.json\n")
    monkeypatch.chdir(root / "sub")

    config = load(Path("../configuration.yaml"))

    assert config.root == root
    assert config.source_dirs == (root / "src", root / "core")
    assert config.token_path == root / "keys" / "mine.json"


def test_templates_are_files_of_the_repository(root: Path, loaded: Loaded) -> None:
    (root / "measure.tmpl").write_text("Write to {{.OutputPath}}")
    (root / "stitch.tmpl").write_text("{{- .Title -}}: {{ .Description }}")
    (root / "go.mod.tmpl").write_text("module {{.ModulePath}}")

    config = loaded(
        "measure_prompt: measure.tmpl\nstitch_prompt: stitch.tmpl\nseed_files: {sub/../go.mod: go.mod.tmpl}\n"
    )

    assert config.measure_prompt == root / "measure.tmpl"
    assert config.stitch_prompt == root / "stitch.tmpl"
    assert config.seed_files == {PurePosixPath("go.mod"): root / "go.mod.tmpl"}


def test_worktrees_may_lie_outside(root: Path, loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent / "home"))

    assert loaded("work_dir: ../work\n").work_dir == root.parent / "work"
    assert loaded("work_dir: ~/work\n").work_dir == root.parent / "home/work"
    assert loaded(f"work_dir: {root.parent}/work\n").work_dir == root.parent / "work"


def test_the_command_line_wins(loaded: Loaded) -> None:
    config = loaded("cycles: 3\njobs: 4\n", cycles=0, jobs=None)
    assert (config.cycles, config.jobs) == (0, 4)


def test_worktrees_lie_outside_of_the_whole_repository(root: Path) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "configuration.yaml").write_text(f"{IMAGE}work_dir: ../work\n")
    with pytest.raises(ConfigurationProblem, match=f"is in {root}: worktrees must be outside"):
        load(root / "sub" / "configuration.yaml")


# What is wrong with a bad one


def test_a_missing_file_says_what_to_do(root: Path) -> None:
    with pytest.raises(UsageProblem) as caught:
        load(root / "configuration.yaml")
    assert caught.value.cause == "configuration.yaml: there is no such file"
    assert "podman_image: IMAGE" in caught.value.remedy


def test_what_is_no_file(root: Path) -> None:
    (root / "directory").mkdir()
    os.mkfifo(root / "pipe")
    for name, words in (("directory", "is a directory, not a file"), ("pipe", "is not a regular file")):
        with pytest.raises(ConfigurationProblem, match=f"{name}: {words}"):
            load(root / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read(root: Path) -> None:
    (root / "configuration.yaml").touch(mode=0)
    with pytest.raises(ConfigurationProblem, match="cannot be read: Permission denied"):
        load(root / "configuration.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"jobs: 1\nmodel: \xff\n", ":2: is not UTF-8 text"),
        (b"\xff\xfej\0o\0", ":1: is not UTF-8 text"),
        (b"jobs: 1\n\nmodel: a\0b\n", ":3: the character U+0000 is not allowed"),
        ("jobs: 1\nseed_files:\n\tgo.mod: x\n", ":3: a tab: YAML indents with spaces"),
        (
            "jobs: 1\nmodel: a: b\n",
            ":2: a second colon, or a wrong indentation: put a text with a colon in quotes",
        ),
        ("jobs: 1\n---\njobs: 2\n", ':2: a second document ("---"): only one is allowed'),
        ("claude_args: &a [-p]\npodman_args: *a\n", ":2: an alias (*name): write the value out"),
        ("- jobs: 1\n", ':1: a list where "key: value" lines belong'),
        ("jobs\n", ':1: a text where "key: value" lines belong'),
        ("jobs: [1\n", None),
        ("model: 'a\n", None),
        ("model: %a\n", None),
        ("[" * 5000, None),
        ("claude_args: " + "[" * 5000 + "]" * 5000, None),
        ("user_prompt: " + "a" * 300_000, ": is larger than 256 KiB"),
    ],
)
def test_what_is_not_yaml(errors: Errors, text: str | bytes, line: str | None) -> None:
    found = errors(text)
    assert found == [f"configuration.yaml{line}"] if line else len(found) == 1


def test_a_billion_laughs_are_refused(errors: Errors) -> None:
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    assert errors(text) == ["configuration.yaml:2: an alias (*name): write the value out"]


JOBS = " is not allowed; allowed: a whole number from 1 to 256"
FIELDS = (
    ": is not allowed; allowed: nodeSelector, tolerations, affinity, runtimeClassName, resources, "
    "imagePullSecrets, labels, annotations"
)
TIMES = " is not allowed; allowed: 90, 90s, 30m, 2h, at most 720h; 0 for no limit"
STEPS = " is not allowed; allowed: a text (run by sh -c), a list, or false (no such step)"
LEAVES = " leaves the repository: write it relative to the configuration"

WRONG = [
    # keys
    ("max_isues: 3", "max_isues: unknown key; did you mean max_issues?"),
    ("maxIssues: 3", "maxIssues: unknown key; did you mean max_issues?"),
    ("max-issues: 3", "max-issues: unknown key; did you mean max_issues?"),
    ("xyzzy: 3", "xyzzy: unknown key"),
    ("<<: {jobs: 3}", "<<: unknown key"),
    ('"a\\eb": 3', "a\\x1bb: unknown key"),
    ("version_fil: x", "version_fil: unknown key; did you mean version_file?"),
    ("cleanup_dir: x", "cleanup_dir: unknown key; did you mean cleanup_dirs?"),
    ("budget: x", "budget: unknown key; did you mean budget_usd?"),
    ("image: x", "image: unknown key; did you mean podman_image or gate_image?"),
    ("claude_model: x", "claude_model: unknown key; did you mean model?"),
    ("agent_cmd: x", "agent_cmd: unknown key; did you mean agent_command?"),
    ("[1]: 3", "a list where a key belongs"),
    ("jobs: !foo 3", "jobs: the tag !foo is not allowed"),
    ("model: !!python/name:a.b x", "model: the tag tag:yaml.org,2002:python/name:a.b is not allowed"),
    ('model: "a\\0b"', "model: a character that is not text"),
    ('model: "\\ud800"', "model: a character that is not text"),
    # wrong types
    ('jobs: "4"', 'jobs: "4"' + JOBS),
    ("jobs: true", "jobs: true" + JOBS),
    ("budget_usd: 0", "budget_usd: 0 is not allowed; allowed: more than 0, at most 1000000 US dollars"),
    ("task_budget_usd: 2 USD", 'task_budget_usd: "2 USD" is not an amount in US dollars, such as 5 or 0.5'),
    ("budget_usd: .nan", "budget_usd: ..."),
    ("generation_budget_usd: yes", "generation_budget_usd: true is not an amount in US dollars, ..."),
    ("prices: none.yaml", 'prices: "none.yaml": there is no such file in ...'),
    ("jobs: 2.0", "jobs: 2.0" + JOBS),
    ("jobs: 0", "jobs: 0" + JOBS),
    ("jobs: 257", "jobs: 257" + JOBS),
    ("jobs: 010", 'jobs: "010"' + JOBS),
    ("jobs: 1:30", 'jobs: "1:30"' + JOBS),
    ("jobs: [1]", "jobs: a list" + JOBS),
    ("jobs: " + "9" * 40, f'jobs: "{"9" * 40}"' + JOBS),
    ("jobs: " + "9" * 6000, f'jobs: "{"9" * 47}..."' + JOBS),
    (
        "cache_dirs: [/var/cache/go]",
        "cache_command: required with cache_dirs: the command that fills them",
    ),
    ("cache_command: make", "cache_dirs: required with cache_command: the directories that it fills"),
    ("cache_network: open", "cache_network: has no effect without cache_dirs and cache_command"),
    (
        'merge_driver: [mergiraf, merge, "%O", "%A"]',
        "merge_driver: has no %B; the files to merge are %O (base), %A (ours, where it leaves the merged "
        "file) and %B (theirs)",
    ),
    (
        "cache_command: make\nsandbox: none\ncache_dirs: [/c]",
        "cache_dirs: needs sandbox: podman; without it, a gate would read what agents have written there",
    ),
    (
        "cache_command: make\ncache_dirs: [go]",
        'cache_dirs[0]: "go" is not an absolute path of a job, such as /var/cache/go',
    ),
    (
        "cache_command: make\ncache_dirs: [/tmp/go]",
        'cache_dirs[0]: "/tmp/go" cannot be a cache: '
        "/, /cobbler, /dev, /proc, /run, /sys, /tmp and /var/tmp belong to each job alone",
    ),
    ("cache_command: make\ncache_dirs: [/c/d, /c]", "cache_dirs[1]: /c overlaps /c/d"),
    ("cycles: -1", "cycles: -1 is not allowed; allowed: a whole number from 0 to 1000"),
    ("max_attempts: 11", "max_attempts: 11 is not allowed; allowed: a whole number from 1 to 10"),
    ('silence_agent: "no"', 'silence_agent: "no" is not allowed; allowed: true or false'),
    ("silence_agent: 0", "silence_agent: 0 is not allowed; allowed: true or false"),
    ("reset_sources: 1", "reset_sources: 1 is not allowed; allowed: true or false"),
    ("user_prompt: yes", "user_prompt: a boolean (true, off, ...) where text belongs..."),
    ("user_prompt: [a]", "user_prompt: a list where a text belongs"),
    ("spec_globs: [a]", 'spec_globs: a list where "label: glob" lines belong'),
    ("source_dirs: src", 'source_dirs: "src" where a list belongs'),
    ("sandbox: docker", 'sandbox: "docker" is not allowed; allowed: podman, slurm, kubernetes or none'),
    ("tracker: [bd]", "tracker: a list is not allowed; allowed: auto, bd or embedded"),
    # times
    ("task_timeout: 3 days", 'task_timeout: "3 days"' + TIMES),
    ("task_timeout: -1", "task_timeout: -1" + TIMES),
    ("task_timeout: .inf", 'task_timeout: ".inf"' + TIMES),
    ("task_timeout: 721h", 'task_timeout: "721h"' + TIMES),
    ("task_timeout: true", "task_timeout: true" + TIMES),
    # names
    ("gen_prefix: a b", 'gen_prefix: "a b" cannot start a branch name: " " cannot be part of it'),
    ("gen_prefix: a/b", 'gen_prefix: "a/b" cannot start a branch name: "/" cannot be part of it'),
    ('gen_prefix: ""', "gen_prefix: an empty text cannot start a branch name: it may not be empty"),
    ("base_branch: a..b", 'base_branch: "a..b" is not a branch name: ".." cannot be part of it'),
    ("base_branch: HEAD", 'base_branch: "HEAD" is not a branch name: it means the branch checked out'),
    ("podman_image: --privileged", 'podman_image: "--privileged" is not the name of an image...'),
    ("model: a b", 'model: "a b" is not the name of a model: no blanks, no "-" in front'),
    ("task_label: a,b", 'task_label: "a,b" is not a label: no commas, no blanks around it, no "-" in front'),
    # commands
    ("claude_args: -p 'a", "claude_args: cannot be split into arguments: no closing quotation"),
    ("build_command: true", "build_command: true" + STEPS),
    ("test_command: []", "test_command: an empty list" + STEPS),
    ('test_command: [" ", a]', "test_command: a command without a program"),
    ("agent: command", "agent_command: required with agent: command"),
    ("slurm_args: [--mem=4G]", "slurm_args: has no effect with sandbox: podman; write sandbox: slurm"),
    (
        "sandbox: slurm\nslurm_args: [--mem=4G, --export=ALL]",
        'slurm_args[1]: "--export=ALL" is not allowed; for example: --partition=agents, --mem=4G',
    ),
    (
        "sandbox: slurm\nslurm_args: [--wrap=x]",
        'slurm_args[0]: "--wrap=x" is not allowed; for example: --partition=agents, --mem=4G',
    ),
    ("gate_site: [n7]", "gate_site: has no effect with sandbox: podman; write sandbox: slurm"),
    (
        "sandbox: slurm\ngate_site: ['n[7-9]']",
        'gate_site[0]: "n[7-9]" is not the name of a node; for example: [n7, n8]',
    ),
    (
        "sandbox: slurm\ngate_site: [n7]\ncache_dirs: [/cache]\ncache_command: make cache",
        "cache_command: fills directories of this machine; remove gate_site",
    ),
    (
        "kubernetes_pod: {labels: {a: b}}",
        "kubernetes_pod: has no effect with sandbox: podman; write sandbox: kubernetes",
    ),
    (
        "kubernetes_carrier: x",
        "kubernetes_carrier: has no effect with sandbox: podman; write sandbox: kubernetes",
    ),
    ("sandbox: kubernetes\nkubernetes_pod: {hostNetwork: true}", 'kubernetes_pod["hostNetwork"]' + FIELDS),
    (
        "sandbox: kubernetes\nkubernetes_pod: {nodeSelector: {a: [b]}}",
        'kubernetes_pod["nodeSelector"]["a"]: a list where a text belongs',
    ),
    (
        "sandbox: kubernetes\nkubernetes_pod: {resources: {claims: []}}",
        'kubernetes_pod["resources"]["claims"]: is not allowed; allowed: limits or requests',
    ),
    (
        "sandbox: kubernetes\nkubernetes_pod: {imagePullSecrets: [{key: x}]}",
        'kubernetes_pod["imagePullSecrets"][0]: a mapping where name: SECRET belongs',
    ),
    (
        "sandbox: kubernetes\nkubernetes_pod: {labels: {cobbler.dev/run: x}}",
        'kubernetes_pod["labels"]: "cobbler.dev/run" is not allowed: these labels are our own',
    ),
    (
        "sandbox: kubernetes\n"
        "kubernetes_pod: {annotations: {container.apparmor.security.beta.kubernetes.io/job: unconfined}}",
        'kubernetes_pod["annotations"]: "container.apparmor.security.beta.kubernetes.io/job" is not allowed: '
        "it could take a protection away",
    ),
    ("sandbox: kubernetes\nagent_history: tip", "agent_history: tip needs sandbox: podman or slurm"),
    ("sandbox: kubernetes\njob_userns: true", "job_userns: needs sandbox: podman or slurm"),
    (
        "sandbox: kubernetes\nagent_network: open",
        "agent_network: needs sandbox: podman; on a node, the agent would have the key",
    ),
    (
        "sandbox: slurm\nagent_network: open",
        "agent_network: needs sandbox: podman; on a node, the agent would have the key",
    ),
    ("agent: []", "agent: an empty list: name an agent"),
    (
        "agent: [claude, gpt]",
        f'agent[1]: "gpt" is not allowed; allowed: {NAMES}',
    ),
    ("agent: [claude, codex, claude]", 'agent[2]: "claude" is in the list already'),
    (
        "agent_command: [a]\nagent: [command, command]",
        'agent[1]: "command" is in the list already',
    ),
    (
        "agent: [claude, replay]",
        "agent[1]: a replay works alone: it asks no API that could be limited",
    ),
    ("agent: [claude, 3]", f"agent[1]: 3 is not allowed; allowed: {NAMES}"),
    (
        "agent: {claude: codex}",
        f"agent: a mapping is not allowed; allowed: {NAMES}",
    ),
    ("agent: [claude, command]", "agent_command: required with agent: command"),
    ("agent: acp", "agent_command: required with agent: acp"),
    (
        "agent_command: [a]\nagent: [command, acp]",
        "agent: command and acp are both agent_command: name one of them",
    ),
    (
        "agent: [claude, codex]\nagent_command: [a]",
        "agent_command: has no effect with agent: [claude, codex]; write agent: command",
    ),
    (
        "agent: [claude, codex]\nmodel: opus",
        "model: name one for each agent: {claude: MODEL, codex: MODEL}",
    ),
    ("model: {codex: x}", 'model["codex"]: has no effect with agent: claude'),
    ("model: {claude: }", 'model["claude"]: a model without a name'),
    (
        "agent: [claude, command]\nagent_command: [a]\nmodel: {command: x}",
        'model["command"]: command is started without a model',
    ),
    (
        "agent: [claude, codex]\nescalate: x",
        "escalate: name one for each agent: {claude: MODEL, codex: MODEL}",
    ),
    ("escalate: {codex: x}", 'escalate["codex"]: has no effect with agent: claude'),
    ("agent: command\nagent_command: [a]\nescalate: x", "escalate: has no effect with agent: command"),
    (
        "claude_args: [-p, --model=opus]\nescalate: x",
        "escalate: has no effect, because claude_args names a model",
    ),
    ("model: b\nescalate: b", 'escalate: "b" is already the model of claude'),
    (
        "models: [claude-a]\nescalate: claude-b",
        'escalate: "claude-b" is not in models, so the proxy refuses it',
    ),
    (
        "models: [claude-a]\nmodel: claude-c",
        'model: "claude-c" is not in models, so the proxy refuses it',
    ),
    (
        "agent: [claude, codex]\nmodels: [claude-*]\nmodel: {claude: claude-a, codex: gpt-6}",
        'model["codex"]: "gpt-6" is not in models, so the proxy refuses it',
    ),
    ("models: [claude-*-4]", 'models[0]: "claude-*-4" is not allowed: a * stands for an end only'),
    (
        "agent_network: open\nhosted_tools: [b]",
        "hosted_tools: has no effect: it needs a sandbox and agent_network: proxy",
    ),
    (
        "agent_network: none\nmodels: [a]",
        "models: has no effect: it needs a sandbox and agent_network: proxy",
    ),
    ('hosted_tools: [""]', "hosted_tools[0]: an empty name"),
    ("agent: acp\nagent_command: [a]\nmodel: x", "model: acp is started without a model"),
    (
        "agent: opencode\nopencode_args: [--auto, --format=default]",
        "opencode_args[1]: --format default cannot be read; leave it out",
    ),
    (
        "agent: gemini\ngemini_args: [-o, json]",
        "gemini_args[0]: -o json cannot be read; leave it out",
    ),
    (
        "agent_api: chat",
        "agent_api: has no effect with agent: claude; write agent: command or agent: opencode",
    ),
    (
        "agent: command\nagent_command: [a]\nagent_network: open\nagent_api: gemini",
        "agent_api: needs sandbox: podman and agent_network: proxy",
    ),
    ("codex_args: [-m, x]", "codex_args: has no effect with agent: claude; write agent: codex"),
    ("agent: codex\ncodex_args: resume x", 'codex_args[0]: "resume" is not an option of codex exec'),
    (
        "agent: codex\ncodex_args: [--json, -c, openai_base_url=https://x]",
        "codex_args[2]: sets another address of the API (allow_address: true accepts it; "
        "or set it in the environment)",
    ),
    (
        "agent: codex\ncodex_args: [--config=model_providers.cobbler.base_url=https://x]",
        "codex_args[0]: sets another address of the API (allow_address: true accepts it; "
        "or set it in the environment)",
    ),
    (
        "agent: codex\nagent_api: chat",
        "agent_api: has no effect with agent: codex; write agent: command or agent: opencode",
    ),
    ("opencode_args: -c", "opencode_args: has no effect with agent: claude; write agent: opencode"),
    ("agent: opencode\nopencode_args: x", 'opencode_args[0]: "x" is not an option of opencode run'),
    (
        "agent: opencode\nopencode_args: [--auto, --attach=http://x]",
        "opencode_args[1]: sends the prompt to another server (allow_address: true accepts it; "
        "or set it in the environment)",
    ),
    ("agent: opencode\nagent_api: chat", "model: required with agent: opencode and agent_api: chat"),
    ("gemini_args: -y", "gemini_args: has no effect with agent: claude; write agent: gemini"),
    ("agent: gemini\ngemini_args: mcp list", 'gemini_args[0]: "mcp" is not an option of gemini'),
    ("agent: codex\ncodex_args: -p 'a", "codex_args: cannot be split into arguments: no closing quotation"),
    ("agent_command: [a]", "agent_command: has no effect with agent: claude; write agent: command"),
    ("agent: replay", "recording: required with agent: replay"),
    ("recording: .r", "recording: has no effect with agent: claude; write agent: replay"),
    ("recording_prompts: ignore", "recording_prompts: has no effect with agent: claude; write agent: replay"),
    ("agent: replay\nrecording: ../r", 'recording: "../r" leaves ROOT'),
    (
        "agent: replay\nrecording: file",
        'recording: "file" is not a directory: choose another...',
    ),
    ("estimated_lines_min: 400", "estimated_lines_min: the least, 400, is more than the most, 350"),
    ("estimated_lines_max: 3", "estimated_lines_max: the least, 250, is more than the most, 3"),
    # paths
    ("beads_dir: ../beads", 'beads_dir: "../beads" leaves ROOT'),
    ("beads_dir: /tmp", 'beads_dir: "/tmp" leaves ROOT'),
    ("beads_dir: ~/beads", 'beads_dir: "~/beads": ~ is not expanded here...'),
    ("beads_dir: link/beads", 'beads_dir: "link/beads" is a symbolic link out of ROOT, to OUTSIDE/beads'),
    ("beads_dir: file", 'beads_dir: "file" is not a directory: choose another...'),
    ("cobbler_dir: .", 'cobbler_dir: ".": name a directory inside ROOT'),
    ("cobbler_dir: .git/x", 'cobbler_dir: ".git/x": name a directory inside ROOT'),
    ("beads_dir: .cobbler/beads", "beads_dir: is in cobbler_dir, which may be deleted at any time"),
    ("secrets_dir: .beads", "secrets_dir: is beads_dir, which is committed"),
    ("token_file: ../x", 'token_file: "../x" is not a file of secrets_dir'),
    ("token_file: /etc/passwd", 'token_file: "/etc/passwd" is not a file of secrets_dir'),
    ("work_dir: work", 'work_dir: "work" is in ROOT: worktrees must be outside the repository'),
    ("protected_paths: [/etc]", 'protected_paths[0]: "/etc"' + LEAVES),
    ("spec_globs: {a: ../b}", 'spec_globs["a"]: "../b"' + LEAVES),
    (
        "protected_paths: [a, '!b']",
        'protected_paths[1]: "!b" starts with !, but patterns cannot...',
    ),
    ("allow_paths: ['#b']", 'allow_paths[0]: "#b" starts with #, but patterns...'),
    ("spec_globs: {a: 'docs/[ab.md'}", 'spec_globs["a"]: "docs/[ab.md" has a [ without its ]...'),
    ("protected_paths: ['.']", 'protected_paths[0]: "." has no name in it'),
    ("measure_prompt: nowhere", 'measure_prompt: "nowhere": there is no such file in ROOT'),
    ("measure_prompt: .git", 'measure_prompt: ".git" is not a file'),
    (
        "measure_prompt: file",
        "measure_prompt: file:1: {{if}} without {{end}}. A measure template ...",
    ),
    (
        "stitch_prompt: template",
        "stitch_prompt: template:2: .Limit is not a placeholder of this ...",
    ),
    ("measure_prompt: latin", 'measure_prompt: "latin" is not UTF-8 text'),
    ("seed_files: {go.mod: nowhere}", 'seed_files["go.mod"]: "nowhere": there is no such file in ROOT'),
    ("cleanup_dirs: [bin, ../out]", 'cleanup_dirs[1]: "../out" leaves ROOT'),
    ("cleanup_dirs: [/tmp]", 'cleanup_dirs[0]: "/tmp" leaves ROOT'),
    ("cleanup_dirs: [.]", 'cleanup_dirs[0]: ".": name a path inside ROOT'),
    ("cleanup_dirs: [.git/hooks]", 'cleanup_dirs[0]: ".git/hooks": name a path inside ROOT'),
    ("cleanup_dirs: [.beads/x]", "cleanup_dirs[0]: .beads/x is, contains or is in beads_dir"),
    ("secrets_dir: a/b\ncleanup_dirs: [a]", "cleanup_dirs[0]: a is, contains or is in secrets_dir"),
    ("cleanup_dirs: out", 'cleanup_dirs: "out" where a list belongs'),
    ("seed_files: {../go.mod: file}", 'seed_files["../go.mod"]: "../go.mod" leaves ROOT'),
    ("seed_files: {.git/config: file}", 'seed_files[".git/config"]: ".git/config" is not a place for a file'),
    ("seed_files: {a: file, b/../a: file}", 'seed_files["b/../a"]: a is named twice'),
    ("source_dirs: [" + "a" * 300 + "]", f'source_dirs[0]: "{"a" * 47}...": a path that is too long'),
]


@pytest.mark.parametrize(("text", "line"), WRONG)
def test_what_is_wrong(root: Path, errors: Errors, text: str, line: str) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "file").write_text("{{if .Limit}}{{.OutputPath}}")
    (root / "template").write_text("{{.Title}}\n{{.Limit}}")
    (root / "latin").write_bytes(b"\xe9 {{.OutputPath}}")

    image = "" if text.startswith("podman_image") else IMAGE
    line = line.replace("ROOT", str(root)).replace("OUTSIDE", str(outside))

    number = 1 + text.count("\n") + bool(image)
    where = "configuration.yaml" if ": required with" in line else f"configuration.yaml:{number}"
    (found,) = errors(image + text + "\n")
    if line.endswith("..."):
        assert found.startswith(f"{where}: {line.removesuffix('...')}")
    else:
        assert found == f"{where}: {line}"


def test_models_have_a_star_or_a_date_as_the_proxy_reads_them(loaded: Loaded) -> None:
    names = "models: [claude-*, gpt-5]\n"
    assert loaded(f"{names}model: claude-opus-4-5\nescalate: claude-opus-5-5\n").models
    assert loaded(f"{names}agent: codex\nmodel: gpt-5-20260101\n").models
    assert loaded(f"{names}model: opus\n").models, "claude itself knows what this stands for"


def test_the_image_is_required_where_there_are_images(errors: Errors, root: Path) -> None:
    assert errors("jobs: 1\n") == [
        "configuration.yaml: podman_image: required: the image in which agents run "
        "(not needed with sandbox: none)"
    ]
    (root / "configuration.yaml").write_text("sandbox: none\n")
    assert load(root / "configuration.yaml").podman_image is None


def test_every_error_is_told_at_once_in_the_order_of_the_file(errors: Errors) -> None:
    text = """\
jobs: 0
claude_args:
  - -p
  - [a]
  -
max_isues: 3
jobs: 3
estimated_lines_min: 400
podman_args:
  - --privileged
  - --memory=lots
sandbox: docker
"""
    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in errors(text, cycles=-1)] == [
        "configuration.yaml:1: jobs",
        "configuration.yaml:4: claude_args[1]",
        "configuration.yaml:5: claude_args[2]",
        "configuration.yaml:6: max_isues",
        "configuration.yaml:7: jobs",
        "configuration.yaml:8: estimated_lines_min",
        "configuration.yaml:10: podman_args[0]",
        "configuration.yaml:11: podman_args[1]",
        "configuration.yaml:12: sandbox",
        "--cobbler-cycles: -1 is not allowed; allowed",
    ]


def test_a_key_written_twice_names_both_lines(errors: Errors) -> None:
    assert errors(f"{IMAGE}jobs: 1\njobs: 2\nspec_globs:\n  a: b\n  a: c\n") == [
        "configuration.yaml:3: jobs: written twice, first in line 2",
        "configuration.yaml:6: a: written twice, first in line 5",
    ]


def test_errors_of_the_command_line_name_the_option(errors: Errors) -> None:
    assert errors(IMAGE, jobs=300, max_issues=-1) == [
        "--cobbler-max-issues: -1 is not allowed; allowed: a whole number from 0 to 10000",
        "--cobbler-jobs: 300 is not allowed; allowed: a whole number from 1 to 256",
    ]


def test_a_symbolic_link_may_lead_to_a_place_inside(root: Path, loaded: Loaded) -> None:
    (root / "tracker").mkdir()
    (root / "link").symlink_to("tracker")
    assert loaded("beads_dir: link\n").beads_dir == root / "link"


def test_a_loop_of_links_is_an_error(root: Path, errors: Errors) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    assert errors(f"{IMAGE}beads_dir: a\n") == [
        'configuration.yaml:2: beads_dir: "a" is not a directory: choose another, or move that file'
    ]


def test_a_default_that_does_not_fit_the_repository_is_an_error_like_any_other(
    root: Path, errors: Errors
) -> None:
    (root / ".cobbler").write_text("")
    assert errors(IMAGE) == [
        'configuration.yaml: cobbler_dir: ".cobbler" is not a directory: choose another, or move that file'
    ]


# podman_args


def podman_args(*words: str) -> str:
    return "podman_args:\n" + "".join(f"  - {json.dumps(word)}\n" for word in words)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["--memory", "4g"], ["--memory=4g"]),
        (["--memory=4g"], ["--memory=4g"]),
        (["-m4g"], ["--memory=4g"]),
        (["-m", "512m", "--cpus", "1.5"], ["--memory=512m", "--cpus=1.5"]),
        (["--memory-swap=8g"], ["--memory-swap=8g"]),
        (["--shm-size", "64m", "--pids-limit=100"], ["--shm-size=64m", "--pids-limit=100"]),
        (["--ulimit", "nofile=1024:2048"], ["--ulimit=nofile=1024:2048"]),
        (["--tmpfs", "/scratch:size=64m,noexec"], ["--tmpfs=/scratch:size=64m,noexec"]),
        (["-h", "builder"], ["--hostname=builder"]),
        (["--add-host=db:192.0.2.1"], ["--add-host=db:192.0.2.1"]),
        (["--add-host", "db:::1"], ["--add-host=db:::1"]),
        (["-v", "./cache:/cache"], ["--volume=ROOT/cache:/cache"]),
        (["-vcache/../cache:/c"], None),
        (["--volume=ROOT/cache:/cache:ro,z"], ["--volume=ROOT/cache:/cache:ro,z"]),
        (["-v", "/usr/share:/host/share:ro"], ["--volume=/usr/share:/host/share:ro"]),
        (["-v", "/usr/share:/host/share:O"], ["--volume=/usr/share:/host/share:O"]),
    ],
)
def test_allowed_arguments(root: Path, loaded: Loaded, words: list[str], arguments: list[str] | None) -> None:
    (root / "cache").mkdir()
    text = podman_args(*words).replace("ROOT", str(root))
    if arguments is None:
        with pytest.raises(ConfigurationProblem):
            loaded(text)
    else:
        assert loaded(text).podman_arguments == tuple(word.replace("ROOT", str(root)) for word in arguments)


@pytest.mark.parametrize("form", [["-e", "{}"], ["--env", "{}"], ["-e{}"], ["--env={}"], ["-e={}"]])
def test_variables_are_lifted_out_of_the_command_line(loaded: Loaded, form: list[str]) -> None:
    variables = ["ANTHROPIC_API_KEY=sk-secret=x", "MODE=a b", "EMPTY="]
    config = loaded(podman_args(*(word.format(variable) for variable in variables for word in form)))

    assert config.podman_arguments == ()
    assert config.lifted_credentials == {"ANTHROPIC_API_KEY": "sk-secret=x"}
    assert config.container_environment == {"MODE": "a b", "EMPTY": ""}


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"])
def test_every_credential_is_lifted_out(loaded: Loaded, name: str) -> None:
    config = loaded(podman_args("-e", f"{name}=sk-secret"))
    assert (config.lifted_credentials, config.container_environment) == ({name: "sk-secret"}, {})


def test_a_variable_by_name_is_handed_on_if_it_is_set(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLOUR", "red")
    monkeypatch.delenv("SHAPE", raising=False)
    assert loaded(podman_args("-e", "COLOUR", "-e", "SHAPE")).container_environment == {"COLOUR": "red"}


def test_nothing_prints_a_variable(loaded: Loaded) -> None:
    config = loaded(podman_args("-e", "ANTHROPIC_API_KEY=sk-secret", "-e", "OTHER=sk-secret"))
    shown = [
        repr(config),
        str(config),
        repr(config.podman_args),
        config.model_dump_json(),
        str(config.model_dump()),
    ]
    assert not [text for text in shown if "sk-secret" in text]


UNSAFE = [
    (["--privileged"], "--privileged", "gives access to the host"),
    (["--pid=host"], "--pid", "gives access to the host's processes"),
    (["--env-host"], "--env-host", "passes on the host's environment"),
    (["--cidfile", "/tmp/x"], "--cidfile", "writes files on the host"),
    (["--pidfile=/tmp/x"], "--pidfile", "writes files on the host"),
    (["--log-opt", "path=/tmp/x"], "--log-opt", "writes files on the host"),
    (["--mount", "type=bind,src=/etc,dst=/x"], "--mount", "is not allowed: use -v"),
    (["--device=/dev/fuse"], "--device", "gives access to a device of the host"),
    (["--hooks-dir=/tmp"], "--hooks-dir", "is not in the list of allowed arguments"),
    (["--network=host"], "--network", "is set by the keys agent_network and gate_network"),
    (["--rm"], "--rm", "is set by cobbler itself: leave it out"),
    (["-it"], "-it", "is set by cobbler itself: leave it out"),
    (["-u", "0"], "-u", "is set by cobbler itself: leave it out"),
    (["-p8080:80"], "-p", "is not in the list of allowed arguments"),
    (["--pids-limit=-1"], "--pids-limit", "is not a limit"),
    (["--memory", "0"], "--memory", "is not a limit"),
    (["--memory-swap=-1"], "--memory-swap", "is not a limit"),
    (["--ulimit=host"], "--ulimit", "is not a limit"),
    (["--tmpfs=/x:suid"], "--tmpfs", 'the option "suid" is not in the list of allowed ones'),
    (["--add-host=host:host-gateway"], "--add-host", "leads to the services of the host"),
    (["-v", "cache:/cache"], "--volume", '"cache" is a named volume; for a directory write ./cache'),
    (["-v", "/:/host:ro"], "--volume", "gives access to /, which holds /proc"),
    (["-v", "/etc:/host:ro"], "--volume", "gives access to /etc"),
    (["-v", "/proc/self:/host:ro"], "--volume", None),
    (["-v", "/usr/share:/host"], "--volume", "which is outside the repository and writable"),
    (["-v", "/usr/share:/host:ro,z"], "--volume", 'gives access to /usr/share with the option "z"'),
    (["-v", "./cache:/c:Z"], "--volume", 'gives access to ROOT/cache with the option "Z"'),
    (["-v", "HOME/.ssh:/ssh:ro"], "--volume", "gives access to HOME/.ssh"),
    (["-v", "HOME:/home:ro"], "--volume", "gives access to HOME, which holds HOME/.ssh"),
    (["-v", "./socket:/socket"], "--volume", "gives access to ROOT/socket, which is not a file or directory"),
    (["-v", "./away:/away"], "--volume", "gives access to HOME/.ssh"),
    (["-v", "..:/up:ro"], "--volume", "gives access to UP, which is or holds git's own directory"),
    (["-v", ".:/project:ro"], "--volume", "gives access to ROOT, which is or holds git's own directory"),
    (["-v", "./.git/hooks:/hooks"], "--volume", "gives access to ROOT/.git/hooks, which is"),
    (["-v", "./.secrets:/s:ro"], "--volume", "gives access to ROOT/.secrets, which is or holds secrets_dir"),
    (["-v", "./configuration.yaml:/c"], "--volume", "where an agent could write configuration.yaml"),
]


@pytest.fixture
def surroundings(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Things to mount, in the repository and in a home directory, and what their names stand for."""
    home = tmp_path_factory.mktemp("home")
    for directory in (home / ".ssh", root / "cache", root / ".secrets", root / ".git/hooks"):
        directory.mkdir(parents=True)
    (root / "away").symlink_to(home / ".ssh")
    monkeypatch.setenv("HOME", str(home))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    return {"ROOT": str(root), "HOME": str(home), "UP": str(root.parent)}


def _filled(text: str, surroundings: Mapping[str, str]) -> str:
    for name, value in surroundings.items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize(("words", "flag", "reason"), UNSAFE)
def test_what_gives_the_host_away_must_be_asked_for(
    surroundings: Mapping[str, str],
    loaded: Loaded,
    errors: Errors,
    words: list[str],
    flag: str,
    reason: str | None,
) -> None:
    text = _filled(podman_args(*words), surroundings)

    (line,) = errors(IMAGE + text)
    assert line.startswith(f"configuration.yaml:3: podman_args[0]: {flag}: ")
    assert line.endswith(" (unsafe_podman_args: true accepts it)")
    if reason:
        assert _filled(reason, surroundings) in line

    config = loaded(text + "unsafe_podman_args: true\n")
    assert len(config.podman_arguments) in (1, 2)
    assert all(word.startswith(flag) for word in config.podman_arguments[:1])


@pytest.mark.parametrize(
    "address",
    [
        "https://gateway.example",
        "http://api.anthropic.com",
        "https://api.anthropic.com.example",
        "https://api.anthropic.com@gateway.example",
        "https://gateway.example/api.anthropic.com",
        "https://anthropic.com:x@[broken",
        "api.anthropic.com",
    ],
)
@pytest.mark.parametrize("name", ["ANTHROPIC_BASE_URL", "ANTHROPIC_BEDROCK_BASE_URL", "OPENAI_BASE_URL"])
def test_a_file_that_sets_another_address_of_the_api_must_say_so(
    loaded: Loaded, errors: Errors, name: str, address: str
) -> None:
    text = podman_args("-e", f"{name}={address}")
    (line,) = errors(IMAGE + text)
    assert line.startswith(
        f"configuration.yaml:3: podman_args[0]: -e {name}: prompts and the credential would go to "
    )
    assert line.endswith("(allow_address: true accepts it; or set it in the environment)")
    assert loaded(f"{text}allow_address: true\n").container_environment == {name: address}


def test_addresses_that_need_no_consent(
    loaded: Loaded, errors: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gateway.example")
    assert loaded(podman_args("-e", "ANTHROPIC_BASE_URL")).container_environment
    assert loaded(podman_args("-e", "ANTHROPIC_BASE_URL=https://x", "-e", "ANTHROPIC_BASE_URL"))
    assert loaded(podman_args("-e", "ANTHROPIC_BASE_URL=https://API.Anthropic.com/"))
    assert loaded(podman_args("-e", "OPENAI_BASE_URL=https://eu.api.openai.com/v1"))
    (line,) = errors(IMAGE + podman_args("-e", "ANTHROPIC_BASE_URL", "-e", "ANTHROPIC_BASE_URL=https://x"))
    assert 'would go to "https://x"' in line


def test_an_address_in_the_settings_of_claude_must_be_asked_for(loaded: Loaded, errors: Errors) -> None:
    text = """claude_args: ["--settings", '{"env": {"ANTHROPIC_BASE_URL": "https://gateway.example"}}']\n"""
    (line,) = errors(IMAGE + text)
    assert line.startswith("configuration.yaml:2: claude_args[1]: sets another address of the API (")
    assert loaded(f"{text}allow_address: true\n")


def test_what_is_given_away_can_be_told(loaded: Loaded) -> None:
    config = loaded(
        podman_args("--privileged", "--memory=1g", "--pid", "host") + "unsafe_podman_args: true\n"
    )
    assert config.given_away == (
        "--privileged: gives access to the host",
        "--pid: gives access to the host's processes",
    )
    assert config.podman_arguments == ("--privileged", "--memory=1g", "--pid=host")
    assert loaded(podman_args("--memory=1g")).given_away == ()


@pytest.mark.parametrize("unsafe", ["false", "true"])
@pytest.mark.parametrize(
    ("words", "place", "reason"),
    [
        (
            ["image"],
            0,
            "not a flag (the image is the key podman_image, the agent's arguments are claude_args)",
        ),
        (["--rm", "image"], 1, "not a flag"),
        (["--"], 0, "not a flag"),
        (["-"], 0, "not a flag"),
        ([""], 0, "not an argument: every element must be text"),
        (["--memory"], 0, "--memory: its value is missing"),
        (["--memory=lots"], 0, '--memory: "lots" is not allowed; for example: 512m'),
        (["--memory 4g"], 0, "--memory: flag and value are one element; write two"),
        (["-e ANTHROPIC_API_KEY=sk-secret"], 0, "--env: flag and value are one element; write two"),
        (["-e", "sk-secret"], 0, "--env: not the name of a variable"),
        (["--env", "H*"], 0, "--env: not the name of a variable"),
        (["-v", "./nowhere:/x"], 0, '--volume: "./nowhere" does not exist'),
        (["-v", "./.git"], 0, '--volume: "./.git" is not allowed; for example: ./cache:/cache:ro'),
        (["-v", "./.git:/x:ro,rw"], 0, '--volume: "./.git:/x:ro,rw" is both ro and rw'),
        (["-v", "./.git:x"], 0, '--volume: "x" is not a place in a container to mount at'),
        (["-v", "./.git://proc"], 0, '--volume: "//proc" is not a place in a container to mount at'),
        (
            ["--add-host", "db:nowhere"],
            0,
            "--add-host: ",
        ),
        (["--cpus", "two"], 0, '--cpus: "two" is not allowed; for example: 1.5'),
    ],
)
def test_what_is_no_argument_is_never_accepted(
    errors: Errors, words: list[str], place: int, reason: str, unsafe: str
) -> None:
    found = errors(f"{IMAGE}{podman_args(*words)}unsafe_podman_args: {unsafe}\n")
    expected = f"configuration.yaml:{3 + place}: podman_args[{place}]: {reason}"
    assert [line for line in found if line.startswith(expected)]


def test_a_text_instead_of_a_list_is_not_repeated(errors: Errors) -> None:
    assert errors(f"{IMAGE}podman_args: -e ANTHROPIC_API_KEY=sk-secret\n") == [
        "configuration.yaml:2: podman_args: not a list; write one argument or value a line, each after a dash"
    ]


# Invariants


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(alphabet="ab/.-@{~^: \\*[?\t\u00e9\u2028", min_size=1, max_size=5)
    | st.sampled_from(["a.lock", "a.lock/b", "@", "HEAD"])
)
def test_a_branch_name_is_what_git_says(tmp_path: Path, name: str) -> None:
    assume(name != "@")  # git takes it for HEAD
    git = subprocess.run(["git", "check-ref-format", "--branch", name], cwd=tmp_path, capture_output=True)
    path = tmp_path / "configuration.yaml"
    path.write_text(f"{IMAGE}base_branch: {json.dumps(name)}\n")
    try:
        assert load(path).base_branch == name
    except ConfigurationProblem:
        assert git.returncode != 0
    else:
        assert git.returncode == 0


_LINE = st.tuples(
    st.sampled_from([*Config.model_fields, "x", "<<"]),
    st.one_of(
        st.sampled_from(
            ["", "0", "1", "-1", "1.5", "yes", "null", "[]", "{}", "[[]]", "{a: {b: c}}", "/", "..", "~"]
        ),
        st.sampled_from(
            ["[-e]", "[-v, '.:/x']", "[-v]", "'\\0'", '"\\0"', '"\\ud800"', "!!binary x", "&a b", "*a"]
        ),
        st.text(max_size=20).map(json.dumps),
        st.text(max_size=20),
        st.lists(st.text(max_size=10), max_size=4).map(json.dumps),
        st.integers().map(str),
        st.floats().map(str),
    ),
).map(": ".join)


def _only_configuration_problems(directory: Path, content: bytes) -> None:
    path = directory / "configuration.yaml"
    path.write_bytes(content)
    problem = None
    try:
        config = load(path)
    except ConfigurationProblem as error:
        problem = error
    if problem is None:
        assert config.path == path
    else:
        assert problem.cause.isprintable()
        assert all(line.isprintable() for line in str(problem).splitlines())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(_LINE, max_size=4))
def test_no_file_of_keys_is_anything_but_good_or_a_configuration_problem(
    tmp_path: Path, lines: list[str]
) -> None:
    _only_configuration_problems(tmp_path, "\n".join(lines).encode("utf-8", "surrogatepass"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
    )
)
@example(b"\xef\xbb\xbfjobs: 1")
@example(b"? ")
@example(b"%YAML 9.9\n---\n")
@example(b"!!set {jobs}")
@example(b"--- !x\njobs: 1")
def test_no_content_is_anything_but_good_or_a_configuration_problem(tmp_path: Path, content: bytes) -> None:
    _only_configuration_problems(tmp_path, content)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.one_of(
            st.sampled_from(
                ["-e", "-v", "--memory", "--privileged", "-it", "--volume=.:/x", "--", "A=b", "--x=y"]
            ),
            st.text(max_size=8),
            st.text(max_size=8).map("-".__add__),
            st.text(max_size=8).map("--".__add__),
        ),
        max_size=4,
    )
)
def test_only_the_allow_list_reaches_podman(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text(IMAGE + "podman_args: " + json.dumps(words) + "\n")
    try:
        config = load(path)
    except ConfigurationProblem:
        return
    allowed = ("--memory=", "--volume=", "--hostname=")
    assert all(argument.startswith(allowed) for argument in config.podman_arguments)


# Go

GO = "language: go\nmodule_path: example.com/calc\nsource_dirs: [.]\n"


@pytest.mark.parametrize(
    ("written", "directory", "binary"),
    [
        ("cmd/calc", "cmd/calc", "bin/calc"),
        ("./cmd/calc/", "cmd/calc", "bin/calc"),
        ("cmd/calc/main.go", "cmd/calc", "bin/calc"),
        ("example.com/calc/cmd/tool", "cmd/tool", "bin/tool"),
        ("example.com/calc", ".", "bin/calc"),
        ("main.go", ".", "bin/calc"),
    ],
)
def test_the_main_package_is_written_as_people_write_it(
    loaded: Loaded, written: str, directory: str, binary: str
) -> None:
    config = loaded(f"{GO}main_package: {written}\n")
    assert (config.main_directory, config.binary) == (PurePosixPath(directory), PurePosixPath(binary))
    named = loaded(f"{GO}main_package: {written}\nbinary_dir: out/\nbinary_name: it\n")
    assert named.binary == PurePosixPath("out/it")


def test_without_a_main_package_no_program_is_built(loaded: Loaded) -> None:
    assert (loaded(GO).main_directory, loaded(GO).binary) == (None, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("language: go\nsource_dirs: [.]\n", "module_path: required for Go: the path in go.mod"),
        (
            "language: go\nmodule_path: example.com/a b\nsource_dirs: [.]\n",
            'module_path: "example.com/a b" is not the path of a Go module',
        ),
        (
            "language: go\nmodule_path: example.com/a\n",
            'source_dirs: required for Go: the directories of its sources (".": all)',
        ),
        ("go_source_dirs: [pkg]\n", "module_path: required for Go: the path in go.mod"),
        (GO + "go_source_dirs: [pkg]\n", "go_source_dirs: the same as source_dirs: write one of them"),
        (GO + "main_package: ../x\n", 'main_package: "../x" is not in the repository'),
        (
            GO + "main_package: example.org/calc/cmd\n",
            'main_package: "example.org/calc/cmd" is not a package of the module example.com/calc',
        ),
        (GO + "binary_name: a/b\n", 'binary_name: "a/b" is not the name of a file'),
        (GO + "version_file: ../v.go\n", 'version_file: "../v.go" leaves ROOT'),
        (GO + "magefiles_dir: .\n", 'magefiles_dir: ".": name a path inside ROOT'),
        (
            GO.replace("[.]", "[bin/src]"),
            "binary_dir: holds the sources in bin/src, and is never committed",
        ),
        ("language: python\nmain_package: cmd\n", "main_package: has no effect with language: python"),
        ("language: none\ngo_source_dirs: [a]\n", "go_source_dirs: has no effect with language: none"),
    ],
)
def test_what_is_wrong_with_a_go_project(errors: Errors, root: Path, text: str, fault: str) -> None:
    (found,) = errors(IMAGE + text)
    assert found.partition(": ")[2] == fault.replace("ROOT", str(root))


# What is published


def test_the_published_schema_is_up_to_date() -> None:
    update = "python -m pytest_cobbler.config.schema"
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), f"bring it up to date: {update}"


def test_the_schema_knows_every_key() -> None:
    published = schema.json_schema()
    assert list(published["properties"]) == list(Config.model_fields)
    assert published["additionalProperties"] is False
    assert published["properties"]["jobs"]["maximum"] == 256
    assert published["properties"]["sandbox"]["enum"] == ["podman", "slurm", "kubernetes", "none", None]
    assert all(value["description"] for value in published["properties"].values())


DOCS = Path(__file__).parent.parent / "docs" / "configuration.md"


def test_the_documentation_has_every_key_as_the_model_has_it() -> None:
    text = DOCS.read_text(encoding="utf-8")
    update = "python -m pytest_cobbler.config.reference docs/configuration.md"
    assert text == renewed(text), f"bring it up to date: {update}"
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(Config.model_fields)


def test_the_sections_of_keys_begin_with_keys() -> None:
    assert list(SECTIONS) == [key for key in Config.model_fields if key in SECTIONS]
    assert next(iter(SECTIONS)) == next(iter(Config.model_fields))


def test_every_older_key_is_accepted() -> None:
    assert Config.model_fields.keys() >= ANCESTOR
    assert len(ANCESTOR) == 28


def test_the_schema_tells_defaults_as_one_would_write_them(loaded: Loaded) -> None:
    properties = schema.json_schema()["properties"]
    told = {key: value["default"] for key, value in properties.items() if "default" in value}
    assert loaded(yaml.safe_dump(told)) == loaded()
    assert (told["task_timeout"], told["podman_args"]) == ("30m", [])


def test_the_documentation_tells_the_defaults(loaded: Loaded) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    told = {key: default.strip("`") for key, default in rows if default.startswith("`")}
    text = "".join(f"{key}: {default}\n" for key, default in told.items())
    assert loaded(text) == loaded()
    assert len(told) > 25


def test_the_example_in_the_documentation_is_valid(root: Path) -> None:
    (example_text,) = re.findall(
        r"```yaml\n(# configuration.yaml\n.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL
    )
    (root / "vendor").mkdir()
    (root / "configuration.yaml").write_text(example_text)
    assert load(root / "configuration.yaml").podman_image


def test_several_agents_have_a_configuration_each(loaded: Loaded) -> None:
    config = loaded("agent: [claude, codex]\nmodel: {codex: gpt-6-sol}\n")
    assert config.agents == ("claude", "codex")
    assert [(one.agent, one.model) for one in config.each_agent] == [("claude", None), ("codex", "gpt-6-sol")]
    assert [one.path for one in config.each_agent] == [config.path, config.path]
    assert loaded("agent: [codex]\nmodel: x\n").agent == "codex"
    assert loaded("model: {claude: opus}\n").each_agent[0].model == "opus"

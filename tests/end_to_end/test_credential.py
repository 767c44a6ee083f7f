"""Attacks on the credential by an agent that looks for it, on the default network."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.testing.project import Project
from tests.support.scripted_api import API_KEY, Request, ScriptedApi, Turn, always, text, tool, turn
from tests.support.slurm import Cluster

TOKEN = "sk-ant-oat01-scripted-Zm9vYmFyYmF6cXV4"
STAND_IN = b"stand-in-0000"

SEARCH = """
exec >found 2>/dev/null
env -0
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/self/mountinfo
command grep -r -a -s sk-ant --exclude-dir=proc --exclude-dir=sys --exclude=found --exclude=claude /
for place in api.anthropic.com/443 192.0.2.1/80; do (exec 3<>/dev/tcp/$place) && printf 'r%s' eached; done
ask() {
  exec 3<>/dev/tcp/127.0.0.1/8377
  printf '%s HTTP/1.1\\r\\nHost: 127.0.0.1:8377\\r\\n' "$1" >&3
  printf 'Content-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}' >&3
  cat <&3
}
ask 'POST /v1/messages'
ask 'GET /v1/models'
echo searched
"""
"""An agent's search for the credential; it writes its findings to a file."""


@pytest.fixture
def project(project: Project) -> Project:
    """With one open task."""
    add_task(project, "Look around")
    return project


def add_task(project: Project, title: str) -> None:
    issue = {
        "id": "t-1",
        "title": title,
        "description": title,
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    project.write({".beads/issues.jsonl": json.dumps(issue) + "\n"})
    project.commit("A task")


PROGRAMS = ("podman", "conmon", "runc", "crun", "srun", "slurmctld", "slurmd", "slurmstepd", "munged")
"""What runs on nodes, or reaches them; slurmstepd has the environment of a job."""

HALF = b"-I\0-u\0-c\0"
"""Words of the command of a node's half."""


class Outside:
    """The host's processes and files, as they are while the container runs; of a cluster, also its own."""

    def __init__(self, project: Project, cluster: Cluster | None = None) -> None:
        self._project = project
        self._cluster = cluster
        self.seen = b""

    def look(self) -> None:
        names = podman("ps", "--quiet").split()
        for name in names:
            with contextlib.suppress(subprocess.CalledProcessError):  # another test's, which has ended
                self.seen += podman("inspect", name).encode()
        for name in ("cmdline", "environ"):
            for path in Path("/proc").glob(f"[0-9]*/{name}"):
                with contextlib.suppress(OSError):
                    program = (path.parent / "comm").read_text().strip()
                    is_half = HALF in (path.parent / "cmdline").read_bytes()
                    if program in PROGRAMS or is_half:
                        self.seen += path.read_bytes()
        if self._cluster:
            for words in (("job", "--details"), ("step",), ("node", "--details")):
                self.seen += self._cluster.ask("scontrol", "show", *words).encode()
            self.seen += self._cluster.ask("squeue", "--format=%all").encode()
            self.seen += grep(self._cluster.configuration.parent)
        stores = podman("info", "--format={{.Store.GraphRoot}} {{.Store.RunRoot}}").split()
        self.seen += grep(*(path for store in stores for path in kept_by_podman(Path(store))))
        self.seen += grep(
            self._project.path / ".cobbler", self._project.path / ".git", self._project.directory / "work"
        )


def podman(*arguments: str) -> str:
    completed = subprocess.run(
        ["podman", *arguments], env=podman_environment(), capture_output=True, check=True
    )
    return completed.stdout.decode()


def kept_by_podman(store: Path) -> Iterator[Path]:
    """All directories except the layers of images, which are older than any key."""
    return (path for path in store.glob("*") if path.name not in ("overlay", "overlay-images", "vfs"))


def grep(*paths: Path) -> bytes:
    """Every line below ``paths`` in which a key might be."""
    command = ["grep", "-r", "-a", "-s", "-h", "sk-ant", *map(str, paths)]
    return subprocess.run(command, capture_output=True, check=False).stdout


def holds(secret: str, content: bytes) -> bool:
    """Whether it occurs plain, escaped, as base64 or in hexadecimal."""
    return Secrets([secret]).are_in(content)


def token_file(project: Project, content: object) -> None:
    project.write({".gitignore": ".secrets/\n", ".secrets/claude.json": json.dumps(content)})
    project.commit("Ignore secrets")


SOURCES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "key in the environment": (API_KEY, {"env": {"ANTHROPIC_API_KEY": API_KEY}}),
    "key in podman_args": (API_KEY, {"args": ["-e", f"ANTHROPIC_API_KEY={API_KEY}"]}),
    "key in the environment, on a node": (API_KEY, {"env": {"ANTHROPIC_API_KEY": API_KEY}, "slurm": True}),
    "login in a file": (TOKEN, {"file": {"claudeAiOauth": {"accessToken": TOKEN}}}),
}


@pytest.mark.matrix("costly")
@pytest.mark.parametrize("source", SOURCES)
def test_the_credential_is_used_and_cannot_be_found(
    project: Project, api: ScriptedApi, source: str, request: pytest.FixtureRequest
) -> None:
    secret, how = SOURCES[source]
    outside = Outside(project, request.getfixturevalue("cluster") if "slurm" in how else None)
    if "slurm" in how:
        project.configure(sandbox="slurm", slurm_args=["--mem=400"])
    if "args" in how:  # not committed: what is committed is in every checkout
        arguments = [*project.configuration["podman_args"], *how["args"]]
        configuration = {**project.configuration, "podman_args": arguments}
        project.write({"configuration.yaml": json.dumps(configuration)})
    if "file" in how:
        token_file(project, how["file"])

    def after_the_search(_request: Request) -> Turn:
        outside.look()
        return turn(text("Nothing."))

    search = tool("Bash", command=SEARCH, description="Search")
    api.script("Look around", [turn(search), after_the_search])

    result = project.run(
        "--cobbler-generate", env={"ANTHROPIC_BASE_URL": api.url, **how.get("env", {})}, timeout=120
    )

    result.assert_outcomes(passed=1)
    expected_headers = {f"Bearer {TOKEN}"} if secret == TOKEN else {API_KEY}
    name = "authorization" if secret == TOKEN else "x-api-key"
    model_requests = [request for request in api.requests if request.turn]
    assert len(model_requests) >= 2
    sent = [{name.lower(): value for name, value in one.headers.items()} for one in model_requests]
    assert {headers.get(name) for headers in sent} == expected_headers
    output = project.files()["found"].encode()
    assert output.endswith(b"searched\n")
    assert STAND_IN in output, "it did look"
    assert b"HTTP/1.1 403" in output
    assert b"reached" not in output
    assert b"cobbler.run" in outside.seen, "it searched outside"
    if "slurm" in how:
        assert b"SLURMD_NODENAME=n" in outside.seen
        assert HALF in outside.seen
        assert b"JobName=cobbler-" in outside.seen
        outside.look()  # and what a job leaves
    assert not holds(secret, output)
    assert not holds(secret, outside.seen)
    assert not holds(secret, grep(project.path / ".cobbler", project.directory / "work"))
    assert secret not in "\n".join(result.outlines + result.errlines)


@pytest.mark.matrix("costly")
def test_a_file_does_not_choose_where_the_credential_goes_unless_it_says_so(
    project: Project, api: ScriptedApi
) -> None:
    arguments = [*project.configuration["podman_args"], "-e", f"ANTHROPIC_BASE_URL={api.url}"]
    project.configure(podman_args=arguments)
    api.script("Look around", [always(turn(text("Nothing.")))])
    env = {"ANTHROPIC_API_KEY": API_KEY}

    refused = project.run("--cobbler-generate", env=env)

    assert api.requests == []
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(
        ["*podman_args*: -e ANTHROPIC_BASE_URL: prompts and the credential would go*"]
    )
    project.configure(podman_args=arguments, allow_address=True)
    result = project.run("--cobbler-generate", env=env)
    result.stdout.fnmatch_lines(
        [f"api: {api.url}, from configuration.yaml: prompts and the credential go there, not to Anthropic"]
    )
    assert api.requests


@pytest.mark.matrix("costly")
def test_a_command_without_a_credential_has_no_network(cobbler_project: Project, minimal_image: str) -> None:
    add_task(cobbler_project, "Look around")
    script = "env >found; wc -l </proc/net/route >>found"
    cobbler_project.configure(
        sandbox="podman", podman_image=minimal_image, agent_command=["sh", "-c", script], cycles=0
    )

    result = cobbler_project.run(
        "--cobbler-generate", env={"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": ""}
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agent: sh *, network none (no credential to reach the API with)"])
    output = cobbler_project.files()["found"]
    assert "ANTHROPIC" not in output
    assert output.endswith("\n1\n"), "the line of the heading alone"

"""A run under gVisor: its network stack is its own unless an option gives it the kernel's."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.testing.project import Project
from tests.support.parts import need
from tests.support.scripted_api import ScriptedApi, text, turn
from tests.support.sessions import ids_landed, seed, task


@pytest.fixture
def configured(minimal_image: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The path of a containers.conf for gVisor with the network that the test asks for."""
    if os.getuid() != 0:
        pytest.skip("gVisor needs root's podman here")
    program = tmp_path / "runsc-of-a-test"
    options = f"--ignore-cgroups --network={request.param}"
    program.write_text(f'#!/bin/sh\nexec {need("runsc")} {options} "$@"\n')
    program.chmod(0o755)
    own = os.environ.get("CONTAINERS_CONF")
    settings = re.sub(r"(?m)^runtime = .*\n", "", Path(own).read_text("utf-8")) if own else "[engine]\n"
    settings = settings.replace("[engine]\n", f'[engine]\nruntime = "{program.name}"\n')
    path = tmp_path / "containers.conf"
    path.write_text(f'{settings}\n[engine.runtimes]\n{program.name} = ["{program}"]\n')
    started = subprocess.run(
        ["podman", "run", "--rm", "--network=none", "--pull=never", minimal_image, "true"],
        env=podman_environment() | {"CONTAINERS_CONF": str(path)},
        capture_output=True,
        text=True,
    )
    if started.returncode:
        pytest.skip(f"gVisor does not start a container here: {started.stderr}")
    return str(path)


@pytest.mark.podman
@pytest.mark.slow
@pytest.mark.parametrize("configured", ["none", "host"], indirect=True)
def test_the_proxy_is_reached_or_nothing_is_spent(
    cobbler_project: Project,
    api: ScriptedApi,
    minimal_image: str,
    configured: str,
) -> None:
    cobbler_project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        agent_command=["bash", "-c", ASKS],
        build_command="true",
        test_command="true",
        gate_timeout=20,
        max_attempts=1,
        cycles=0,
    )
    seed(cobbler_project, task("p-1", title="Ask"))
    api.script("Ask", [turn(text("Yes."))])

    result = cobbler_project.run("--cobbler-generate", env={**api.environment, "CONTAINERS_CONF": configured})

    if "network=none" in Path(configured).with_name("runsc-of-a-test").read_text():
        result.stderr.fnmatch_lines(
            ["ERROR: *the proxy of the API cannot be reached from inside a container"]
        )
    if result.ret:  # this gVisor may lack something else that a run needs
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert (cobbler_project.generation, api.requests) == (None, [])
    else:
        assert ids_landed(cobbler_project) == ["p-1"]
        assert len(api.requests) == 1


ASKS = """
body='{"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Ask"}]}'
exec 3<>/dev/tcp/127.0.0.1/8377
printf 'POST /v1/messages HTTP/1.1\\r\\nHost: 127.0.0.1:8377\\r\\nConnection: close\\r\\n' >&3
printf 'Content-Length: %s\\r\\n\\r\\n%s' "${#body}" "$body" >&3
cat <&3 >answer.txt
"""

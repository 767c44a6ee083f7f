"""The memory and the report of the test runner, attacked by a process that a test starts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.languages import Go
from pytest_cobbler.languages.base import Step
from pytest_cobbler.languages.go import _HIDDEN
from pytest_cobbler.languages.python import Python
from pytest_cobbler.languages.python_tree import close_memory
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Network
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from tests.support.images import minimal_image, python_image
from tests.support.podmans import open_to_others
from tests.support.toolchain import go_arguments, go_cache, go_root

__all__ = ["go_arguments", "go_cache", "go_root", "minimal_image", "python_image"]

OPENED = "opened the runner"
PYTHON = {
    "test_attack.py": f"""
import subprocess
def test_attack():
    attack = subprocess.run(["sh", "-c", ": <>/proc/$PPID/mem"])
    assert attack.returncode, {OPENED!r}
"""
}
GO = {
    "go.mod": "module example.com/m\n\ngo 1.24\n",
    "m_test.go": f"""package m

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestAttack(t *testing.T) {{
	attack := exec.Command("sh", "-c", fmt.Sprintf(": <>/proc/%d/mem", os.Getppid()))
	if attack.Run() == nil {{
		t.Fatal("{OPENED}")
	}}
}}
""",
}


def gate(
    directory: Path, image: str, step: Step, files: Mapping[str, str], arguments: tuple[str, ...] = ()
) -> GateResult:
    tree = directory / "tree"
    tree.mkdir()
    for name, content in files.items():
        (tree / name).write_text(content)
    open_to_others(tree)
    owner = job_owner(directory)
    sandbox = PodmanSandbox(image, repository=uuid.uuid4().hex[:8], run_id="here", owner=owner)
    found = Gate(
        steps=(step,),
        sandbox=sandbox,
        network=Network.NONE,
        image=None,
        timeout=120.0,
        arguments=arguments,
        environment={"CGO_ENABLED": "0"},
    )
    return found.run(tree, directory / "gate.log", Cancellation())


def unprotected(step: Step, protection: str, instead: str) -> Step:
    """``step`` without its protection; the attack has to succeed on it."""
    script = step.argv[2]
    assert protection in script
    return Step(name=step.name, argv=(*step.argv[:2], script.replace(protection, instead)), shown="")


@pytest.mark.parametrize("protected", [True, False])
def test_the_memory_of_pytest(tmp_path: Path, python_image: str, protected: bool) -> None:
    step = Python().default_test()
    if not protected:
        step = unprotected(step, f"    {close_memory.__name__}()\n", "    pass\n")
    result = gate(tmp_path, python_image, step, PYTHON)
    assert (result.passed, OPENED in result.output) == (protected, not protected), result.output


REPORT = {
    "test_attack.py": """
import subprocess
FORGED = "<testsuite><testcase classname='test_attack' name='test_other'/></testsuite>"
FORGES = '''
while :; do
  for file in /dev/shm/cobbler-report $HOME/cobbler-report.xml /proc/[0-9]*/fd/*; do
    (printf %s "$0" >$file) 2>/dev/null
  done
  echo
done
'''
def test_attack():
    forges = subprocess.Popen(
        ["sh", "-c", FORGES, FORGED],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, close_fds=False,
    )
    forges.stdout.readline()
"""
}


@pytest.mark.parametrize("removed", ["", "close_memory", "keep_report"])
def test_the_report_of_pytest(tmp_path: Path, python_image: str, removed: str) -> None:
    step = Python().default_test()
    if removed:
        script = unprotected(step, f"    {removed}()\n", "    pass\n").argv
        step = replace(step, argv=script)
    result = gate(tmp_path, python_image, step, REPORT)
    names = [found.function for found in result.tests.results] if result.tests else []
    assert names == (["test_other"] if removed else ["test_attack"]), result.output


@pytest.mark.parametrize("protected", [True, False])
def test_the_memory_of_go(
    tmp_path: Path, minimal_image: str, go_arguments: tuple[str, ...], protected: bool
) -> None:
    step = Go().default_test()
    if not protected:
        step = unprotected(step, _HIDDEN, "hidden=go\n")
    result = gate(tmp_path, minimal_image, step, GO, go_arguments)
    assert (result.passed, OPENED in result.output) == (protected, not protected), result.output

"""The checks of this project: `nox --list` shows them, `nox -s quick` runs one.

`.ci/run` runs the same sessions in an environment of its own, as `nox --no-venv --no-install`.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["quick", "lint"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
QUICK = "quick or not (podman or bd or claude or browser or slow)"
PROSE = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "pytest_cobbler",
    "tests",
    "benchmarks",
]
JOB_SCRIPTS = sorted(map(str, Path("pytest_cobbler/data").glob("*.sh")))
ATTACKS = sorted(map(str, Path("pytest_cobbler/data/attacks").rglob("*.sh")))
WORKFLOWS = sorted(map(str, Path(".github/workflows").glob("*.yml")))


def refuse_arguments(session: nox.Session) -> None:
    """Arguments that would have no effect are a mistake."""
    if session.posargs:
        session.error(f"the session {session.name} takes no arguments: {' '.join(session.posargs)}")


@nox.session
def quick(session: nox.Session) -> None:
    """Every room, without podman, bd, claude, a browser and long tests: under two minutes on two cores."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-m", QUICK, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The README's test command, word for word."""
    refuse_arguments(session)
    block = re.search(
        r"<!-- the tests -->\n```sh\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.S | re.M
    )
    if block is None:
        session.error("README.md has no block after <!-- the tests -->")
    session.log(block[1].strip())
    session.run("bash", "-euo", "pipefail", "-c", block[1], external=True, silent=False)


@nox.session
def long(session: nox.Session) -> None:
    """Every slow test and every case of the matrices, of which the other sessions run a sample.

    Without arguments it also simulates new schedules, and remakes the table of docs/reliability.md.
    """
    session.install("-e", ".[test]")
    crashes = Path(session.create_tmp()).resolve() / "crashes"
    shutil.rmtree(crashes, ignore_errors=True)
    crashes.mkdir()
    env = {"COBBLER_TEST_SEED": "all", "COBBLER_TEST_CRASHES": str(crashes)}
    try:
        session.run("python", "-m", "pytest", "-n", "auto", "-m", "matrix or slow", *session.posargs, env=env)
    finally:
        if not session.posargs:
            session.run("python", "-m", "tests.support.crash_table", str(crashes))
    if not session.posargs:
        seed = secrets.token_hex(4)
        session.run("python", "-m", "tests.simulator", "--schedules", "10000", "--seed", seed)


@nox.session
def agents(session: nox.Session) -> None:
    """Try every agent, with its real program, and remake the table of docs/agents.md.

    `nox -s agents -- NAME...` tries these, and takes the other results of the table from build/agents.
    """
    session.install("-e", ".[test]")
    if not session.posargs:
        shutil.rmtree("build/agents", ignore_errors=True)
    names = session.posargs or ["claude", "codex", "opencode", "gemini", "acp"]
    rootless = "tests/end_to_end/test_rootless.py::test_every_agent_lands_a_task_of_an_ordinary_user"
    env = {"COBBLER_TEST_SEED": "all"}
    for name in names:
        tests = ["tests/end_to_end/test_every_agent.py", f"{rootless}[{name}]"]
        report = f"--junitxml=build/agents/{name}.xml"
        chosen = ["-k", name, "-m", "", "-n", "2", report, "-o", "junit_family=xunit1"]
        session.run("python", "-m", "pytest", *chosen, *tests, env=env, success_codes=[0, 1])
    session.run("python", "-m", "tests.support.agent_table", "build/agents")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz one target for a quarter of an hour: `nox -s fuzz -- TARGET [--seconds N]`."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Print the table of ratios: `nox -s benchmarks -- [ROW ...] [--quick] [--image NAME] [--json FILE]`."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, layers, workflows, scripts, prose."""
    refuse_arguments(session)
    session.install("-e", ".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("mypy", "noxfile.py", "docs/conf.py")
    session.run("lint-imports")
    session.run("pre-commit", "validate-config")
    session.run("zizmor", "--offline", "--quiet", *WORKFLOWS)
    for program, *arguments in (
        ["actionlint"],
        ["shellcheck", "--severity=warning", ".ci/run"],
        ["shellcheck", "--severity=warning", "--shell=sh", *JOB_SCRIPTS],
        ["shellcheck", "--severity=error", "--shell=sh", *ATTACKS],
        ["vale", "--output=line", "--glob=!pytest_cobbler/data/**", *PROSE],
    ):
        if shutil.which(program) or "CI" in os.environ:
            session.run(program, *arguments, external=True)
        else:
            session.warn(f"{program} is not on PATH: CI runs it, this session does not")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site in build/docs; a warning is an error."""
    refuse_arguments(session)
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "-b", "html", "docs", "build/docs")
    session.log(f"open {ROOT / 'build' / 'docs' / 'index.html'}")


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sdist in dist/, each installed in a fresh environment, where the demo runs."""
    refuse_arguments(session)
    session.install("build")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", "dist", ".")
    wheel, sdist = sorted(Path("dist").iterdir(), key=lambda path: path.suffix, reverse=True)
    temporary = Path(session.create_tmp()).resolve()
    for package in (wheel.resolve(), sdist.resolve()):
        fresh = temporary / package.suffix.strip(".")
        session.run("python", "-m", "venv", "--clear", str(fresh))
        session.run(str(fresh / "bin" / "pip"), "install", "--quiet", str(package), external=True)
        with session.chdir(temporary):
            # Not the caller's options: plugins that they are for are not installed here.
            session.run(
                str(fresh / "bin" / "pytest"), "--cobbler-demo", external=True, env={"PYTEST_ADDOPTS": ""}
            )

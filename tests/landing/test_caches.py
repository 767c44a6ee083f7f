from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.images import minimal_image

__all__ = ["minimal_image"]

PLACE = "/var/cache/kept"
ONLY_OURS = f'[ "$(cat {PLACE}/value)" = good ] && [ "$(ls -A {PLACE})" = value ]'
"""Whether the cache holds what the command wrote, and nothing else."""

POISON = f"{ONLY_OURS} && echo evil >{PLACE}/value && echo evil >{PLACE}/more"


def caching(
    project: Project, image: str, command: str, *, test_command: str = "true", **keys: object
) -> None:
    project.configure(
        sandbox="podman",
        podman_image=image,
        podman_args=project.agent.podman_arguments,
        agent_network="none",
        cache_dirs=[PLACE],
        cache_command=command,
        build_command=False,
        test_command=test_command,
        **keys,
    )


def filled(project: Project) -> list[Path]:
    """The caches that are kept."""
    return sorted((project.directory / "work").glob("*/caches/*"))


def two_tasks(agent: StandInAgent) -> None:
    agent.measure().writes_tasks(
        [{"index": n, "title": f"Task {n}", "description": "Write a file."} for n in range(2)]
    )


@pytest.mark.podman
def test_no_job_sees_what_another_job_wrote_to_a_cache(
    cobbler_project: Project, cobbler_agent: StandInAgent, minimal_image: str
) -> None:
    caching(
        cobbler_project,
        minimal_image,
        f"[ -e configuration.yaml ] || exit 3; echo good >{PLACE}/value",
        test_command=f"{ONLY_OURS} && echo evil >{PLACE}/value",
        jobs=1,
    )
    two_tasks(cobbler_agent)
    cobbler_agent.otherwise().runs(f'{POISON} && echo done >"$COBBLER_TASK_ID.txt"')

    result = cobbler_project.run("--cobbler-generate", timeout=300)

    assert len(cobbler_project.landed()) == 2, "\n".join([*result.outlines, *result.errlines])
    (kept,) = filled(cobbler_project)
    assert [path.name for path in (kept / "0").iterdir()] == ["value"]
    assert (kept / "0" / "value").read_text() == "good\n"


@pytest.mark.podman
def test_caches_are_filled_once_for_the_same_base(cobbler_project: Project, minimal_image: str) -> None:
    caching(cobbler_project, minimal_image, f"cat /proc/sys/kernel/random/uuid >{PLACE}/value", cycles=0)
    values = []
    for _ in range(2):
        cobbler_project.run("--cobbler-generate", timeout=300)
        (kept,) = filled(cobbler_project)
        values.append((kept / "0" / "value").read_text())
    assert values[0] == values[1] != ""

    caching(cobbler_project, minimal_image, f"echo other >{PLACE}/value", cycles=0)
    cobbler_project.run("--cobbler-generate", timeout=300)
    assert [(kept / "0" / "value").read_text() for kept in filled(cobbler_project)] == ["other\n"]


@pytest.mark.podman
@pytest.mark.parametrize(
    ("command", "disk", "how"),
    [
        ("echo no such module; exit 5", "20g", "exit 5"),
        (
            f"echo no such module; head -c 32M /dev/urandom >{PLACE}/much; sync; sleep 60",
            "16m",
            "disk: more than 16 MiB, job_disk",
        ),
    ],
    ids=["exit", "disk"],
)
def test_a_command_that_fails_ends_the_run_before_anything_is_spent(
    cobbler_project: Project, minimal_image: str, command: str, disk: str, how: str
) -> None:
    caching(cobbler_project, minimal_image, command, job_disk=disk)

    result = cobbler_project.run("--cobbler-generate", timeout=300)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"cache_command failed ({how})" in "\n".join(result.errlines)
    assert "no such module" in "\n".join(result.errlines)
    assert filled(cobbler_project) == []
    assert cobbler_project.generation is None

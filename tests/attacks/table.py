"""Remakes the table of attacks in `docs/security.md`: `python -m pytest -n 0 tests/attacks/table.py`.

For root, with `COBBLER_TEST_ROOTLESS` naming an ordinary user: it runs `pytest --cobbler-doctor
--cobbler-attacks` as both, on a project of its own, and says how long each took. pytest does not collect it
by itself: `tests/attacks` and `tests/end_to_end/test_rootless.py` try the same attacks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.attacks.attack import every_attack
from tests.support.images import busybox_image, minimal_image, python_image
from tests.support.ordinary_user import OrdinaryUser, ordinary_user
from tests.support.podmans import own_podman, rootless_podman

__all__ = ["busybox_image", "minimal_image", "ordinary_user", "own_podman", "python_image", "rootless_podman"]

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN = "<!-- attacks: python -m pytest -n 0 tests/attacks/table.py -->\n"
END = "<!-- end of attacks -->\n"

SCRIPT = """\
set -e
mkdir -p "$1/project" && cd "$1/project"
git init --quiet --initial-branch=main
git config user.name Ada && git config user.email ada@example.invalid
cat >configuration.yaml <<END
language: none
sandbox: podman
podman_image: $2
agent: command
agent_command: ["true"]
tracker: embedded
build_command: "true"
test_command: "true"
work_dir: $1/work
END
git add --all && git commit --quiet --message=Begin
export ANTHROPIC_API_KEY=sk-ant-worthless-key-of-a-benchmark
exec "$3" -m pytest -p no:cacheprovider --cobbler-doctor --cobbler-attacks --cobbler-format=json
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def attacked(run: Run, *arguments: str) -> dict[str, Any]:
    """The JSON of doctor for a new project."""
    completed = run("sh", "-c", SCRIPT, "sh", *arguments)
    start = completed.stdout.find("{")
    assert start >= 0, completed.stdout
    result: dict[str, Any] = json.loads(completed.stdout[start:])
    got = [line for line in result["attacks"] if line["status"] == "NOT HELD"]
    assert got == []
    return result


def run_here(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)


def table(results: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """The table in Markdown.

    Args:
        results: the attacks of a JSON result, by the title of their column.
    """
    statuses = {title: {one["name"]: one["status"] for one in lines} for title, lines in results.items()}
    titles = ["attack", "tries to", "held by", *statuses]
    rows = [titles, ["---"] * len(titles)]
    for attack in every_attack():
        seen = [by_name.get(attack.name, "not tried") for by_name in statuses.values()]
        rows.append([f"`{attack.name}`", attack.tries, attack.holds, *seen])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def replaced(page: str, content: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


@pytest.mark.podman
@pytest.mark.bd
@pytest.mark.claude
def test_the_table_is_made(
    ordinary_user: OrdinaryUser, minimal_image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Path("/var/tmp", f"cobbler-attack-table-{os.getpid()}")
    try:
        root = attacked(run_here, str(place), minimal_image, sys.executable)
    finally:
        subprocess.run(["rm", "-rf", place], check=True)

    def as_user(*command: str) -> subprocess.CompletedProcess[str]:
        return ordinary_user.run(*command, timeout=600)

    rootless = attacked(as_user, str(ordinary_user.directory), minimal_image, str(ordinary_user.python))
    columns = {"root's podman": root, "rootless podman": rootless}
    content = table({title: result["attacks"] for title, result in columns.items()})
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), content), "utf-8")
    with capsys.disabled():
        for title, result in columns.items():
            failed = [check["name"] for check in result["checks"] if check["status"] == "failed"]
            sys.stdout.write(f"\n{title}: {result['seconds']:.0f} s; failed checks: {failed}\n")

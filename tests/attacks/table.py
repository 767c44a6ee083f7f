"""Remakes the tables of attacks in `docs/security.md`: `python -m pytest -n 0 tests/attacks/table.py`.

For root, with `COBBLER_TEST_ROOTLESS` naming an ordinary user: it runs `pytest --cobbler-doctor
--cobbler-attacks` as both, for each runtime and each image, on projects of their own. pytest does not
collect it by itself:
`tests/attacks` and `tests/end_to_end/test_rootless.py` try the same attacks.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.attacks.attack import every_attack
from pytest_cobbler.sandbox.podman_environment import podman_environment
from tests.support.images import busybox_image, minimal_image, python_image, small_image
from tests.support.ordinary_user import OrdinaryUser, ordinary_user
from tests.support.podmans import Podman, hand_over, own_podman, rootless_podman

__all__ = [
    "busybox_image",
    "minimal_image",
    "ordinary_user",
    "own_podman",
    "python_image",
    "rootless_podman",
    "small_image",
]

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN = "<!-- attacks: python -m pytest -n 0 tests/attacks/table.py -->\n"
END = "<!-- end of attacks -->\n"
KEPT = Path(__file__).parents[2] / "build" / "attacks"
"""The results, a file for each suite. After a change of the attacks, remove them."""

BEGIN_RUNTIMES = "<!-- runtimes: python -m pytest -n 0 tests/attacks/table.py -->\n"
END_RUNTIMES = "<!-- end of runtimes -->\n"

RUNTIMES = {
    "runc": 'exec PROGRAM "$@"',
    # It refuses machines with cgroups of both versions: this hides the second ones from it alone.
    "crun": "exec unshare --mount sh -c "
    """'mount -t tmpfs none /sys/fs/cgroup/unified; exec PROGRAM "$@"' crun "$@" """,
    "runsc": 'exec PROGRAM --ignore-cgroups --network=none "$@"',
}
"""How each runtime is called."""

USERS = ("root's podman", "rootless podman")
USUAL = ("runc", "git, coreutils, dash")
"""The runtime and the image of the table with a line for each attack."""

AT_A_TIME = 2
LONGEST = 1800.0
"""Seconds for a suite; it takes two to three minutes."""

SCRIPT = """\
set -e
rm -rf "$1" && mkdir -p "$1/project" && cd "$1/project"
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
export CONTAINERS_CONF=$4
exec "$3" -m pytest -p no:cacheprovider --cobbler-doctor --cobbler-attacks --cobbler-format=json
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One run of the attacks, and its JSON result."""

    runtime: str
    image: str
    user: str
    result: Mapping[str, Any]

    @property
    def attacks(self) -> Sequence[Mapping[str, str]]:
        found: Sequence[Mapping[str, str]] = self.result.get("attacks") or ()
        return found

    def named(self, status: str) -> list[str]:
        return [one["name"] for one in self.attacks if one["status"] == status]


def attacked(run: Run, *arguments: str) -> dict[str, Any]:
    """The JSON of doctor for a new project."""
    completed = run("sh", "-c", SCRIPT, "sh", *arguments)
    start = completed.stdout.find("{")
    assert start >= 0, completed.stdout
    result: dict[str, Any] = json.loads(completed.stdout[start:])
    return result


def run_here(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)


def configured(place: Path, settings: str, runtime: str) -> Path:
    """A containers.conf by which podman calls ``runtime``, readable for all."""
    program = place / runtime
    if not program.exists():
        found = shutil.which(runtime)
        assert found, f"{runtime} is not installed"
        program.write_text(f"#!/bin/sh\n{RUNTIMES[runtime].replace('PROGRAM', found)}\n")
        program.chmod(0o755)
    settings = re.sub(r"(?m)^runtime = .*\n", "", settings) or "[engine]\n"
    settings = settings.replace("[engine]\n", f'[engine]\nruntime = "{runtime}"\n')
    path = place / f"{runtime}.conf"
    path.write_text(f'{settings}\n[engine.runtimes]\n{runtime} = ["{program}"]\n')
    path.chmod(0o644)
    return path


def table(results: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """The table in Markdown, with a line for each attack.

    Args:
        results: the attacks of a JSON result, by the title of their column.
    """
    statuses = {title: {one["name"]: one["status"] for one in lines} for title, lines in results.items()}
    titles = ["attack", "tries to", "held by", *statuses]
    rows = [titles, ["---"] * len(titles)]
    for attack in every_attack():
        seen = [by_name.get(attack.name, "not tried") for by_name in statuses.values()]
        rows.append([f"`{attack.name}`", attack.tries, attack.holds, *seen])
    return in_markdown(rows)


def table_of_runtimes(suites: Sequence[Suite]) -> str:
    """The table in Markdown, with a line for each suite."""
    titles = ["runtime", "image", "podman", "held", "not tried", "got through"]
    return in_markdown([titles, ["---"] * len(titles), *map(_row, suites)])


def _row(suite: Suite) -> list[str]:
    count = Counter(one["status"] for one in suite.attacks)
    missing = len(every_attack()) - len(suite.attacks)
    through = suite.named("NOT HELD")
    shown = f"{len(through)}: {', '.join(f'`{name}`' for name in through)}" if through else "0"
    numbers = [str(count["held"]), str(count["not tried"] + missing), shown]
    return [suite.runtime, suite.image, suite.user, *numbers]


def in_markdown(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def replaced(page: str, content: str, begin: str = BEGIN, end: str = END) -> str:
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{content}\n{end}{after}"


def suites_of(user: OrdinaryUser, images: Mapping[str, str]) -> Iterator[Suite]:
    """Every suite, a few at a time. Those in ``KEPT`` do not run again."""

    def as_user(*command: str) -> subprocess.CompletedProcess[str]:
        return user.run(*command, timeout=LONGEST)

    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="cobbler-attacks-") as directory:
        place = Path(directory)
        place.chmod(0o755)
        given = podman_environment().get("CONTAINERS_CONF")
        settings = Path(given).read_text("utf-8") if given else ""
        conditions = list(itertools.product(images, RUNTIMES, USERS))
        calls: list[tuple[Run, *tuple[str, ...]]] = []
        for number, (image, runtime, title) in enumerate(conditions):
            run, python, above = (run_here, sys.executable, place)
            if title != USERS[0]:
                run, python, above = as_user, str(user.python), user.directory
            last = (images[image], python, str(configured(place, settings, runtime)))
            calls.append((run, str(above / f"suite-{number}"), *last))
        kept = [KEPT / f"{', '.join(condition)}.json" for condition in conditions]
        with ThreadPoolExecutor(AT_A_TIME) as threads:
            for condition, result in zip(conditions, threads.map(once, kept, calls), strict=True):
                image, runtime, title = condition
                yield Suite(runtime=runtime, image=image, user=title, result=result)


def once(kept: Path, call: tuple[Run, *tuple[str, ...]]) -> Mapping[str, Any]:
    """The JSON of doctor, from the file if there is one."""
    if not kept.exists():
        result = attacked(*call)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(result), "utf-8")
    content: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    return content


@pytest.mark.podman
@pytest.mark.bd
@pytest.mark.claude
def test_the_tables_are_made(
    ordinary_user: OrdinaryUser,
    own_podman: Podman,
    rootless_podman: Podman,
    minimal_image: str,
    small_image: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hand_over(small_image, own_podman, rootless_podman)
    suites = []
    for suite in suites_of(ordinary_user, {USUAL[1]: minimal_image, "git, busybox": small_image}):
        suites.append(suite)
        failed = [check["name"] for check in suite.result["checks"] if check["status"] == "failed"]
        with capsys.disabled():
            seconds = suite.result["seconds"]
            sys.stdout.write(f"\n{' | '.join(_row(suite))} | {seconds:.0f} s; failed checks: {failed}\n")
            sys.stdout.writelines(
                f"  {one['status']} {one['name']}: {one['evidence']}\n"
                for one in suite.attacks
                if one["status"] != "held"
            )
    usual = {suite.user: suite.attacks for suite in suites if (suite.runtime, suite.image) == USUAL}
    page = replaced(PAGE.read_text("utf-8"), table(usual))
    page = replaced(page, table_of_runtimes(suites), BEGIN_RUNTIMES, END_RUNTIMES)
    PAGE.write_text(page, "utf-8")
    got = [
        f"{suite.runtime}, {suite.image}, {suite.user}: {suite.named('NOT HELD')}"
        for suite in suites
        if suite.runtime == USUAL[0] and suite.named("NOT HELD")
    ]
    assert got == []

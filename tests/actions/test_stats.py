"""``--cobbler-stats``: what was made, what it cost, and where that is read from."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.display import width
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from pytest_cobbler.testing.samples import python_sample
from tests.support.sessions import seed, task
from tests.support.stores import EmbeddedStore
from tests.support.terminals import started

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "stats.md"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A generation: *Once* landed in its first attempt, *Twice* in its second attempt, *Never* did not."""
    agent = StandInAgent(tmp_path_factory.mktemp("agent"))
    agent.measure().reports(cost_usd=0.5, tokens_output=50).writes_tasks(
        [{"title": "Once"}, {"title": "Twice", "dependency": 0}, {"title": "Never"}]
    )
    agent.task("Once").reports(cost_usd=0.25, tokens_input=10, tokens_output=20).writes(
        "once.py", "a = 1\n" * 3
    )
    agent.task("Twice", attempt=1).reports(cost_usd=1.0, tokens_cache_read=7).fails()
    agent.task("Twice", attempt=2).reports(cost_usd=2.0, tokens_cache_write=9).writes(
        "tests/test_twice.py", "b = 1\n"
    )
    agent.task("Never").reports(cost_usd=4.0, tokens_output=1).fails()
    with Project.create(tmp_path_factory.mktemp("project"), agent) as project:
        project.options += ["-p", "no:hypothesispytest"]
        project.write(python_sample() | {"docs/deep/more.md": "five words of\nspecification\there\n"})
        project.configure(spec_globs={"vision": "docs/*.md", "all": "docs/**/*.md"})
        result = project.run("--cobbler-generate")
        result.assert_outcomes(passed=3, failed=1)
        yield project


def stats(project: Project) -> dict[str, Any]:
    result = project.run("--cobbler-stats", "--cobbler-format=json")
    assert (result.ret, result.errlines) == (0, [])
    found: dict[str, Any] = json.loads("\n".join(result.outlines))
    return found


@pytest.fixture(scope="module")
def found(generated: Project) -> dict[str, Any]:
    return stats(generated)


def spent(attempts: int, cost_usd: float, **tokens: int) -> dict[str, Any]:
    kinds = dict.fromkeys(("input", "output", "cache_read", "cache_write"), 0)
    prompts = sum((kinds | tokens).values()) - tokens.get("output", 0)
    return {
        "attempts": attempts,
        "tokens": kinds | tokens,
        "cached": round(tokens.get("cache_read", 0) / prompts, 4) if prompts else None,
        "cost_usd": cost_usd,
        "cost_is_partial": False,
    }


def without_time(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key != "seconds"}


def by_title(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    [generation] = found["generations"]
    return {task["title"]: task for task in generation["tasks"]}


def test_the_statistics_count_lines_by_language_and_words_by_label(
    generated: Project, found: dict[str, Any]
) -> None:
    base, generation = found["code"]
    assert (base["revision"], generation["revision"]) == ("main", generated.generation)
    assert base["commit"] == generated.git("rev-parse", "main").strip()
    sample = {name: text.count("\n") for name, text in python_sample().items() if name.endswith(".py")}
    production, test = sample["calculator/__init__.py"], sample["tests/test_add.py"]
    assert base["lines"] == {"python": {"production": production, "test": test}}
    assert generation["lines"] == {"python": {"production": production + 3, "test": test + 1}}
    vision = len(python_sample()["docs/VISION.md"].split())
    assert base["words"] == generation["words"] == {"vision": vision, "all": vision + 5}


def test_the_usage_of_a_landing_is_apart_from_that_of_wasted_attempts(found: dict[str, Any]) -> None:
    once, twice = (by_title(found)[title] for title in ("Once", "Twice"))
    assert without_time(once["landed"]) == spent(1, 0.25, input=10, output=20)
    assert without_time(once["wasted"]) == spent(0, 0.0)
    assert once["diff"] == {"files": 1, "insertions": 3, "deletions": 0}
    assert without_time(twice["landed"]) == spent(1, 2.0, cache_write=9)
    assert without_time(twice["wasted"]) == spent(1, 1.0, cache_read=7)
    assert once["landed"]["seconds"] is not None  # it may round to nothing
    assert once["wasted"]["seconds"] is None


def test_all_usage_of_a_task_that_did_not_land_is_wasted(found: dict[str, Any]) -> None:
    never = by_title(found)["Never"]
    assert never["commit"] is None
    assert without_time(never["landed"]) == spent(0, 0.0)
    assert without_time(never["wasted"]) == spent(2, 8.0, output=2)


def test_the_usage_of_a_generation_is_the_sum_of_its_tasks(generated: Project, found: dict[str, Any]) -> None:
    [generation] = found["generations"]
    assert (generation["name"], generation["active"]) == (generated.generation, True)
    assert without_time(generation["landed"]) == spent(2, 2.25, input=10, output=20, cache_write=9)
    assert without_time(generation["wasted"]) == spent(3, 9.0, output=2, cache_read=7)
    assert without_time(generation["measures"]) == spent(1, 0.5, output=50)
    assert generation["diff"] == {"files": 2, "insertions": 4, "deletions": 0}


def test_the_table_has_the_same_numbers_as_the_json(generated: Project) -> None:
    result = generated.run("--cobbler-stats")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "code *language*production*test",
            "main *python *",
            "words * all *vision",
            f"{generated.generation} (active) *attempts *seconds *input *output *cache read *USD *lines",
            "  project-* Once  * 1 * 10 * 20 * 0 * 0 *0.2500 *+3 -0",
            "  project-* Twice * 2 * 0 * 0 * 7 * 9 *3.0000 *+1 -0",
            "  project-* Never (not landed) * 2 * 8.0000 * -",
            "landed: 2 * 2 *2.2500 *+4 -0",
            "wasted * 3 *9.0000",
            "measures * 1 *0.5000",
        ]
    )


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        (120, ["attempts", "seconds", "input", "output", "cache", "read", "cache", "write", "USD", "lines"]),
        (80, ["attempts", "seconds", "output", "USD", "lines"]),
        (40, ["USD"]),
    ],
)
def test_a_terminal_shows_as_many_columns_as_it_has_room_for(
    generated: Project, columns: int, parts: list[str]
) -> None:
    with started() as start:
        terminal = start(generated, columns, action="--cobbler-stats")
        rows = terminal.wait()
    [head] = [number for number, row in enumerate(rows) if row.endswith((" lines", " USD"))]
    assert rows[head].split()[-len(parts) :] == parts
    assert rows[head].startswith("generation-")
    assert re.match(r"  \S+ Once +.*0\.2500", rows[head + 1])
    assert all(width(row) <= columns for row in rows)


def test_reading_the_statistics_changes_nothing(generated: Project) -> None:
    def everything() -> dict[str, bytes]:
        files = [path for path in generated.path.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files if ".pytest_cache" not in path.parts}

    before = everything()
    assert generated.run("--cobbler-stats").ret == 0
    assert everything() == before


def copy_of(project: Project, directory: Path) -> Project:
    shutil.copytree(project.path, directory / "project", symlinks=True)
    copy = Project(directory, project.agent)
    copy.options = project.options
    return copy


def test_the_statistics_do_not_need_the_history_in_cobbler_dir(
    generated: Project, found: dict[str, Any], tmp_path: Path
) -> None:
    copy = copy_of(generated, tmp_path)
    shutil.rmtree(copy.path / ".cobbler")
    assert stats(copy) == found


def test_landed_tasks_are_counted_without_the_records_in_the_tracker(
    generated: Project, tmp_path: Path
) -> None:
    copy = copy_of(generated, tmp_path)
    shutil.rmtree(copy.path / ".beads")
    shutil.rmtree(copy.path / ".cobbler")
    told = by_title(stats(copy))
    assert set(told) == {"Once", "Twice"}
    assert told["Twice"]["landed"] == spent(1, 3.0, cache_read=7, cache_write=9) | {"seconds": None}
    assert told["Twice"]["diff"]["insertions"] == 1


def test_a_merged_generation_is_found_in_its_base_though_a_forge_has_rebased_it(
    generated: Project, found: dict[str, Any], tmp_path: Path
) -> None:
    copy = copy_of(generated, tmp_path)
    name = copy.generation or ""
    copy.write({"meanwhile.txt": ""})
    copy.commit("Meanwhile")
    copy.git("cherry-pick", f"main..{name}", "--allow-empty")
    before, after = found["generations"], stats(copy)["generations"]
    assert after == before
    copy.git("branch", "-D", "--quiet", name)
    [merged] = stats(copy)["generations"]
    assert (merged["active"], merged["landed"]) == (False, before[0]["landed"])


def test_comments_of_other_users_are_not_counted(cobbler_project: Project) -> None:
    record = {"caller": "stitch", "generation": "generation-1", "attempts": 1, "cost_usd": 9.0}
    texts = [("jane", json.dumps(record)), ("cobbler", "[1]"), ("cobbler", '{"caller": "stitch"}')]
    comments = [
        {"id": n, "issue_id": "p-a", "author": author, "text": text, "created_at": "2026-01-02T03:04:05Z"}
        for n, (author, text) in enumerate(texts)
    ]
    seed(cobbler_project, task("p-a", comments=comments))
    assert stats(cobbler_project)["generations"] == []


def test_the_statistics_of_a_project_without_a_generation(cobbler_project: Project) -> None:
    result = cobbler_project.run("--cobbler-stats")
    assert result.ret == 0
    assert result.outlines[-1] == "No generations found."
    assert result.outlines[1].split() == ["main", "none", "-", "-"], "not 0 lines: it may be another language"


def test_a_failing_tracker_is_not_read_as_an_empty_one(cobbler_project: Project) -> None:
    store = EmbeddedStore(cobbler_project.path)
    seed(cobbler_project, task("p-a"))
    store.file.write_text("{broken\n")
    result = cobbler_project.run("--cobbler-stats")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *issues.jsonl*"])


def test_the_page_describes_every_key_of_the_json(found: dict[str, Any]) -> None:
    described = set(re.findall(r"^\| `(\S+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert set(keys(found)) == described


KINDS = {"landed": "SPENT", "wasted": "SPENT", "measures": "SPENT", "diff": "DIFF", "tokens": "TOKENS"}
"""Key -> the kind of object that it holds, described once."""


def keys(value: Any, name: str = "") -> Iterator[str]:
    """Every key in ``value``, behind the name of the object it is in."""
    for key, item in value.items():
        yield f"{name}.{key}".removeprefix(".")
        if isinstance(item, list):
            for element in item:
                yield from keys(element, f"{key}[]")
        elif key == "lines":
            for counted in item.values():
                yield f"{name}.lines.LANGUAGE"
                yield from keys(counted, "LANGUAGE")
        elif key == "agents":
            for used in item.values():
                yield from keys(used, "SPENT")
        elif isinstance(item, dict) and key != "words":
            yield from keys(item, KINDS[key])

"""report.html as a file: what it loads, what it lets run, and how large it is."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from pytest_cobbler.publishing.blocks import ALPHABET
from pytest_cobbler.publishing.page import DATA, SCRIPTS, VENDORED
from pytest_cobbler.publishing.writing import write_report
from tests.support.hostile_texts import ATTACKS
from tests.support.pages import blocks
from tests.support.reported import GENERATION, MadeUp

LARGEST_SCRIPTS = 150_000


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    attack = "".join(ATTACKS)
    made = MadeUp(tasks=3, text=lambda text: f"{text} {attack}")
    config, repository = made.make(tmp_path_factory.mktemp("page"))
    return write_report(config, repository, GENERATION).read_text("utf-8")


def test_the_policy_is_the_first_element_of_the_head(html: str) -> None:
    start = '<!DOCTYPE html>\n<html lang="en">\n<head><meta http-equiv="Content-Security-Policy" content="'
    assert html.startswith(start)
    policy = html[len(start) :].partition('">')[0].replace("&#39;", "'")
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == "'none'"
    assert set(directives) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    allowed = directives["script-src"].split() + directives["style-src"].split()
    assert all(re.fullmatch(r"'sha256-[\w+/]{43}='", one) for one in allowed)


def test_the_policy_allows_exactly_the_scripts_of_the_page(html: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 3
    assert re.findall(r"sha256-([\w+/=]+)", html.partition("style-src")[0]) == hashes


def test_the_page_names_its_encoding_where_browsers_look_for_it(html: str) -> None:
    assert '<meta charset="utf-8">' in html.encode()[:1024].decode()


def test_no_text_of_an_agent_is_markup(html: str) -> None:
    whole = html.partition("<noscript>")
    assert "window.attacked" not in whole[0]
    visible = re.sub(r"<script[ >].*?</script>", "", whole[2], flags=re.DOTALL)
    tags = set(re.findall(r"<(\w+)", visible))
    assert tags == {"h1", "p", "table", "thead", "tbody", "tr", "th", "td"}


def test_the_characters_of_blocks_mean_nothing_to_a_parser() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 91
    assert not set("<>& \n") & set(ALPHABET)


def test_every_text_is_in_a_block(html: str) -> None:
    opened = blocks(html)
    assert {"report", "block-0-1", "block-1-1", "block-1-2", "block-2-1"} == set(opened)
    body = opened["block-0-1"]
    assert {"prompt", "log", "steps", "diff"} <= set(body)
    assert any(ATTACKS[0] in step["text"] for step in body["steps"])


def test_scripts_are_small_and_none_is_loaded_from_elsewhere(html: str) -> None:
    scripts = "".join((DATA / name).read_text("utf-8") for name in (*VENDORED, *SCRIPTS))
    assert len(scripts.encode()) <= LARGEST_SCRIPTS
    assert not re.search(r"</script|<!--", scripts)
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|WebSocket|sendBeacon|innerHTML|insertAdjacentHTML|eval)\b",
        "".join((DATA / name).read_text("utf-8") for name in SCRIPTS),
    )
    assert re.findall(r"""<(?:link|script|img|iframe)[^>]*(?:src|href)=""", html) == []


def test_every_script_of_the_page_is_listed() -> None:
    ours = {path.name for path in DATA.glob("*.js")}
    vendored = {f"vendor/{path.name}" for path in (DATA / "vendor").glob("*.js")}
    assert (ours, vendored) == (set(SCRIPTS), set(VENDORED))


def test_vendored_scripts_are_what_their_packages_have() -> None:
    listed = json.loads((DATA / "vendor" / "packages.json").read_text())
    assert {f"vendor/{name}" for name in listed} == set(VENDORED)
    for name, package in listed.items():
        assert hashlib.sha256((DATA / "vendor" / name).read_bytes()).hexdigest() == package["sha256"]
        assert set(package) == {"package", "version", "file", "sha256", "licence", "licences"}
        for licence in package["licences"]:
            text = (DATA / "vendor" / licence).read_text("utf-8")
            assert re.search(r"MIT License|Apache License|Permission is hereby granted", text)


def test_the_report_of_a_directory_that_is_gone_has_what_git_has(tmp_path: Path) -> None:
    config, repository = MadeUp(tasks=2).make(tmp_path)
    shutil.rmtree(config.cobbler_dir)
    opened = blocks(write_report(config, repository, GENERATION).read_text("utf-8"))
    assert [task["outcome"] for task in opened["report"]["tasks"]] == ["landed", "landed"]
    assert [list(opened[name]) for name in opened if name != "report"] == [["diff"], ["diff"]]
    assert (config.cobbler_dir / ".gitignore").read_text() == "*\n"

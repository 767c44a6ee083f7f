"""The commands of the tutorials, run in order in one shell, print the quoted output."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.documents import ROOT
from tests.support.images import minimal_image, python_image
from tests.support.toolchain import go_arguments, go_cache, go_root

__all__ = ["go_arguments", "go_cache", "go_root", "minimal_image", "python_image"]

Follow = Callable[..., None]

IDENTITY = "[user]\n\tname = You\n\temail = you@example.com\n"
NOT_INHERITED = ("COBBLER", "PYTEST", "GIT_", "ANTHROPIC", "CLAUDE", "XDG_", "BEADS")
SAME = [
    (r"(?m)^\d\d:\d\d:\d\d .*\n", ""),  # in place of the block that a terminal shows
    (r"(::stitch::\S+ \w+) [^\n(]*\(", r"\1 TITLE ("),  # a long one is cut
    (r"(?<!\S)(\.\.\.|/\S*)/words\b", "/words"),
    (r"\d{4}-\d\d-\d\d(-\d\d){3}", "DATE"),
    (r"\bv\d{4}-\d\d-\d\d", "vDAY"),
    (r"\b[0-9a-f]{7,40}\b", "COMMIT"),
    (r"\bwords-[0-9a-z]{3}\b", "words-ID"),
    (r" \(\d+:\d\d:\d\d\)", ""),  # pytest adds it after a minute
    (r"\d+(\.\d+)? ?(s|min)\b", "TIME"),
    (r"(sandbox: podman) .*", r"\1 VERSION, IMAGE, USER"),
    (r"localhost/\S+,", "localhost/IMAGE,"),
    (r"\b\d+(\.\d+)+\b", "NUMBER"),
    (r"[ =-]+", " "),
]
"""Patterns of text that differs on every machine or in every run."""


@dataclass(frozen=True)
class Block:
    command: str
    quoted: str = ""


def blocks(page: str) -> Iterator[Block]:
    """The commands of a page, each with its quoted output, if there is any."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    text = re.sub(r"<!-- not run -->\n```sh\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for command, quoted in re.findall(
        r"^```sh\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", text, re.DOTALL | re.MULTILINE
    ):
        yield Block(command, quoted)


def same(text: str) -> list[str]:
    for pattern, instead in SAME:
        text = re.sub(pattern, instead, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def agrees(quoted: str, printed: str) -> bool:
    """Whether ``printed`` has the lines of ``quoted``, with any lines in place of ``...``."""
    parts = [re.escape(line) if line != "..." else r"(?:[^\n]*\n)*?[^\n]*" for line in same(quoted)]
    return re.fullmatch("\n".join(parts), "\n".join(same(printed))) is not None


@pytest.fixture
def follow(tmp_path: Path) -> Follow:
    def follow(page: str, image: str, podman_args: tuple[str, ...] = ()) -> None:
        """Run the commands of ``page`` with ``image`` in place of localhost/words, and ``podman_args``."""
        programs = tmp_path / "programs"
        programs.mkdir()
        (programs / "git").symlink_to(shutil.which("git") or "")
        keys = {"podman_args": json.dumps(podman_args), "work_dir": str(tmp_path / "work")}
        ours = "".join(f"sed -i 's|^{key}:.*|{key}: {to}|' configuration.yaml\n" for key, to in keys.items())
        # Without podman on PATH, init does not find the images of other tests.
        init = f"PATH={programs} {shutil.which('pytest')} --cobbler-init\n{ours}"
        instead = {"localhost/words": image, "pytest --cobbler-init\n": init}
        found = list(blocks(page))
        assert len(found) > 8
        for block, (code, printed) in zip(found, run(tmp_path, found, instead), strict=True):
            assert code == 0, f"{block.command}\n{printed}"
            assert agrees(block.quoted, printed), f"{block.command}\n{printed}\n--- is not\n{block.quoted}"

    return follow


def run(directory: Path, found: list[Block], instead: dict[str, str]) -> list[tuple[int, str]]:
    """Exit status and output of each block, all of them in one shell."""
    commands = [block.command for block in found]
    for theirs, ours in instead.items():
        commands = [command.replace(theirs, ours) for command in commands]
    (directory / "gitconfig").write_text(IDENTITY)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": str(directory / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "COLUMNS": "80",
    }
    done = subprocess.run(
        ["bash", "-c", "exec 2>&1\n" + "".join(f'{command}echo "=== $?"\n' for command in commands)],
        cwd=directory,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    parts = re.split(r"^=== (\d+)\n", done.stdout, flags=re.MULTILINE)
    return [(int(code), printed) for printed, code in zip(parts[::2], parts[1::2], strict=False)]


def test_the_python_tutorial(follow: Follow, python_image: str) -> None:
    follow("tutorial-python.md", python_image)


def test_the_go_tutorial(follow: Follow, minimal_image: str, go_arguments: tuple[str, ...]) -> None:
    follow("tutorial-go.md", minimal_image, go_arguments)

"""Draw ``docs/demo.svg``, the picture in the README: the terminal after ``pytest --cobbler-demo``.

Run ``python docs/terminal_picture.py`` after a change of the program's output. Lines that only describe the
machine (versions, plugins, directories) and the hints below the report are left out.
"""

from __future__ import annotations

import html
import os
import pty
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pyte

PICTURE = Path(__file__).parent / "demo.svg"
COMMAND = "pytest --cobbler-demo"
COLUMNS, LINES = 92, 100
UNWRAPPED = 500
"""Columns of the emulated terminal: more than the program is told, so that no long line is wrapped."""
LEFT_OUT = (
    "platform ",
    "sandbox: ",
    "cachedir: ",
    "hypothesis ",
    "rootdir: ",
    "configfile: ",
    "plugins: ",
    "transcripts: ",
)
LEFT_OUT_INSIDE = "generated xml file"
BELOW = "repository: "
"""The first line that is not drawn any more."""

FOREGROUND, BACKGROUND, BAR = "#d0d4dc", "#1d1f27", "#2b2e39"
COLOURS = {
    "red": "#f0717a",
    "green": "#8fd175",
    "brown": "#e5c06b",
    "blue": "#6cb2f2",
    "magenta": "#cf8ee0",
    "cyan": "#5cc4cc",
}
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
"""An ordinary space, repeated, would be drawn once."""
CHARACTER, LINE, MARGIN, TITLE = 8.4, 19, 16, 30
"""Pixels: a character's width, a line's height, the space around the text, the height of the title bar."""

Line = list[pyte.screens.Char]


def screen() -> list[Line]:
    """The lines on the terminal after the demo, with their colours."""
    terminal = pyte.Screen(UNWRAPPED, LINES)
    stream = pyte.ByteStream(terminal)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (LINES, COLUMNS))
    with tempfile.TemporaryDirectory() as directory:
        demo = subprocess.Popen(
            [sys.executable, "-m", *COMMAND.split()],
            cwd=directory,
            env={**os.environ, "TERM": "xterm-256color", "TMPDIR": directory, "COLUMNS": str(COLUMNS)},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        for output in read(ours):
            stream.feed(output)
        if demo.wait() != 0:
            sys.exit("\n".join(line.rstrip() for line in terminal.display))
    return [[terminal.buffer[row][column] for column in range(UNWRAPPED)] for row in range(LINES)]


def read(terminal: int) -> Iterator[bytes]:
    """What is written to the terminal until its last user has closed it; Linux then reports EIO."""
    try:
        while output := os.read(terminal, 65536):
            yield output
    except OSError:
        os.close(terminal)


def text(line: Line) -> str:
    return "".join(character.data for character in line).rstrip()


def drawn(lines: list[Line]) -> list[Line]:
    """The lines of the session and its result, without repeated empty ones."""
    start = next(number for number, line in enumerate(lines) if "test session starts" in text(line))
    end = next(number for number, line in enumerate(lines) if text(line).startswith(BELOW))
    chosen: list[Line] = []
    for line in lines[start:end]:
        words = text(line)
        repeated = not words and not text(chosen[-1])
        if not repeated and not words.startswith(LEFT_OUT) and LEFT_OUT_INSIDE not in words:
            chosen.append(line)
    return chosen if text(chosen[-1]) else chosen[:-1]


def svg(lines: list[Line]) -> str:
    width = round(2 * MARGIN + COLUMNS * CHARACTER)
    height = TITLE + 2 * MARGIN + LINE * len(lines)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{COMMAND}</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
            f'<path d="M0 {TITLE}V8a8 8 0 0 1 8-8H{width - 8}a8 8 0 0 1 8 8v{TITLE - 8}z" fill="{BAR}"/>',
            "<g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\""
            f' font-size="14" fill="{FOREGROUND}">',
            f'<text x="{MARGIN}" y="20">$ {COMMAND}</text>',
            *(row(number, line) for number, line in enumerate(lines)),
            "</g>",
            "</svg>",
            "",
        ]
    )


def row(number: int, line: Line) -> str:
    """One line of text; the fixed length keeps columns aligned whatever font a browser has."""
    spans = groupby(line[: len(text(line))], key=lambda character: (character.fg, character.bold))
    content = "".join(span("".join(c.data for c in group), *style) for style, group in spans)
    size = f' textLength="{len(text(line)) * CHARACTER:.0f}"' if content else ""
    y = TITLE + MARGIN + LINE * number + 13
    return f'<text x="{MARGIN}" y="{y}"{size}>{content}</text>'


def span(words: str, colour: str, bold: bool) -> str:
    shown = html.escape(words).replace(" ", NO_BREAK_SPACE)
    style = f' fill="{COLOURS[colour]}"' if colour in COLOURS else ""
    style += ' font-weight="bold"' if bold else ""
    return f"<tspan{style}>{shown}</tspan>" if style else shown


if __name__ == "__main__":
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    picture.write_text(svg(drawn(screen())), encoding="utf-8")

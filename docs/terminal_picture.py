"""Draw the terminal of ``pytest --cobbler-demo``: ``live.svg`` during the run, ``demo.svg`` also its end.

Run ``python docs/terminal_picture.py`` after a change of the program's output. Lines that only describe the
machine (versions, plugins, directories) and the hints below the report are left out. The run is shown at the
moment at which most items are at work.
"""

from __future__ import annotations

import html
import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pyte

PICTURE = Path(__file__).parent / "demo.svg"
LIVE = "live.svg"
"""Beside it."""
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
    "report: ",
)
LEFT_OUT_INSIDE = "generated xml file"
BELOW = "repository: "
"""The first line that is not drawn any more."""
END = "- cobbler -"
"""A part of the line with which the end of the run begins."""

FOREGROUND, BACKGROUND, BAR, RULE, SOFT = "#d0d4dc", "#1d1f27", "#2b2e39", "#474c5c", "#9aa0ae"
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
CHARACTER, LINE, MARGIN, TITLE, GAP = 8.4, 19, 16, 30, 44
"""Pixels: a character's width, a line's height, the space around the text, the height of the title bar, that
of the gap between two moments."""

Line = list[pyte.screens.Char]


def screens() -> tuple[list[Line], list[Line]]:
    """The lines on the terminal during and after the demo, with their colours."""
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
        busiest, during = 0, list[Line]()
        for output in read(ours):
            stream.feed(output)
            if (busy := at_work(terminal)) > busiest:
                busiest, during = busy, lines_of(terminal)
        if demo.wait() != 0:
            sys.exit("\n".join(line.rstrip() for line in terminal.display))
    return during, lines_of(terminal)


def lines_of(terminal: pyte.Screen) -> list[Line]:
    return [[terminal.buffer[row][column] for column in range(UNWRAPPED)] for row in range(LINES)]


def at_work(terminal: pyte.Screen) -> int:
    """How much the block on the terminal shows: its items, and the phases and outcomes that differ."""
    rows = [row.rstrip() for row in terminal.display]
    end = next((number for number, row in enumerate(rows) if re.match(r"\d+s, \d+ running, ", row)), 0)
    found = (re.search(r"  (agent|gate|waiting to land)  +#", row) for row in rows[:end])
    phases = [match[1] for match in found if match]
    has_landed = "0 landed" not in rows[end]
    has_steps = sum(bool(re.search(r"  agent +#\d+  \S", row)) for row in rows[:end])
    return 4 * has_landed + 2 * len({*phases}) + len(phases) + has_steps if phases else 0


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
    end = next((number for number, line in enumerate(lines) if text(line).startswith(BELOW)), len(lines))
    chosen: list[Line] = []
    for line in lines[start:end]:
        words = text(line)
        repeated = not words and not text(chosen[-1])
        if not repeated and not words.startswith(LEFT_OUT) and LEFT_OUT_INSIDE not in words:
            chosen.append(line)
    return chosen if text(chosen[-1]) else chosen[:-1]


def end_of(lines: list[Line]) -> list[Line]:
    """The lines from the table on."""
    return lines[next(number for number, line in enumerate(lines) if END in text(line)) :]


def svg(*moments: list[Line]) -> str:
    """One terminal at one moment or more, each below the one before."""
    width = round(2 * MARGIN + COLUMNS * CHARACTER)
    height = TITLE + 2 * MARGIN + LINE * sum(map(len, moments)) + GAP * (len(moments) - 1)
    drawn_moments, top = list[str](), TITLE + MARGIN
    for number, lines in enumerate(moments):
        if number:
            drawn_moments.append(gap(top, width))
            top += GAP
        rows = (row(top + LINE * at, line) for at, line in enumerate(lines))
        drawn_moments += [f'<g class="moment-{number + 1}">', *rows, "</g>"]
        top += LINE * len(lines)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{COMMAND}</title>",
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" fill="{BACKGROUND}"'
            f' stroke="{RULE}"/>',
            f'<path d="M0 {TITLE}V8a8 8 0 0 1 8-8H{width - 8}a8 8 0 0 1 8 8v{TITLE - 8}z" fill="{BAR}"/>',
            "<g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\""
            f' font-size="14" fill="{FOREGROUND}">',
            f'<text x="{MARGIN}" y="20">$ {COMMAND}</text>',
            *drawn_moments,
            "</g>",
            "</svg>",
            "",
        ]
    )


def gap(top: int, width: int) -> str:
    """A line between two moments."""
    y = top + GAP // 2
    return (
        f'<path d="M{MARGIN} {y}H{width - MARGIN}" stroke="{RULE}" stroke-dasharray="3 4"/>'
        f'<rect x="{width / 2 - 60}" y="{y - 10}" width="120" height="20" fill="{BACKGROUND}"/>'
        f'<text x="{width / 2}" y="{y + 4}" font-size="12" text-anchor="middle"'
        f' fill="{SOFT}">at its end</text>'
    )


def row(top: int, line: Line) -> str:
    """One line of text; the fixed length keeps columns aligned whatever font a browser has."""
    spans = groupby(line[: len(text(line))], key=lambda character: (character.fg, character.bold))
    content = "".join(span("".join(c.data for c in group), *style) for style, group in spans)
    size = f' textLength="{len(text(line)) * CHARACTER:.0f}"' if content else ""
    return f'<text x="{MARGIN}" y="{top + 13}"{size}>{content}</text>'


def span(words: str, colour: str, bold: bool) -> str:
    shown = html.escape(words).replace(" ", NO_BREAK_SPACE)
    style = f' fill="{COLOURS[colour]}"' if colour in COLOURS else ""
    style += ' font-weight="bold"' if bold else ""
    return f"<tspan{style}>{shown}</tspan>" if style else shown


if __name__ == "__main__":
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    during, after = screens()
    picture.with_name(LIVE).write_text(svg(drawn(during)), encoding="utf-8")
    picture.write_text(svg(drawn(during), end_of(drawn(after))), encoding="utf-8")

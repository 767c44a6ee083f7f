"""The block of a live view: a line for each item at work, and one for the run. It knows no terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from pytest_cobbler.display import counted, one_line, width
from pytest_cobbler.story.following import Doing
from pytest_cobbler.story.model import Item, Phase, Run
from pytest_cobbler.story.waits import seconds_left
from pytest_cobbler.view.words import fitted, label_of, shown_seconds, spent_by

__all__ = ["DoingOf", "Line", "Segment", "block", "run_lines", "text_of"]

Segment = tuple[str, str]
"""A text and its style, as rich names it; empty: none."""

Line = tuple[Segment, ...]

_LEAST_LABEL: Final = 12
"""Columns of an item's name and title."""
_LEAST_DOING: Final = 16
"""Columns of what an agent is doing; less of it is not worth showing."""
_NARROW: Final = 60
"""Columns below which words are short and gaps are narrow."""
_QUIET: Final = 5.0
"""Seconds after which the last step of an agent gives way to the news that it is thinking."""

_SHORT: Final = {Phase.QUEUED: "queued", Phase.BETWEEN: "again"}
_STYLES: Final = {
    Phase.AGENT: "cyan",
    Phase.QUEUED: "yellow",
    Phase.MERGING: "yellow",
    Phase.GATE: "yellow",
    Phase.LANDING: "green",
    Phase.BETWEEN: "red",
}
_OUTCOMES: Final = {"landed": "green", "failed": "red", "blocked": "", "limited": "", "cancelled": ""}
"""Verdicts in the order in which they are counted, and their styles."""

DoingOf = Callable[[Item], Doing | None]


class _Row(NamedTuple):
    """A line for an item, before it is fitted to the terminal."""

    label: str
    phase: str
    attempt: str
    doing: str
    elapsed: str
    money: str
    style: str


def block(
    run: Run, doing_of: DoingOf, now: float, columns: int, rows: int, *, stopping: str = ""
) -> list[Line]:
    """The lines of a run at a time: those of its items at work, then those of the run.

    Args:
        columns: no line has more.
        rows: there are no more lines; items for which there is none are counted.
        stopping: why the run ends early, if it does.
    """
    end = run_lines(run, now, columns, stopping=stopping)[: max(1, rows)]
    items = sorted(run.running, key=lambda item: item.began or 0.0)
    room = max(0, rows - len(end))
    hidden = 0 if len(items) <= room else len(items) - max(0, room - 1)
    shown = items[: len(items) - hidden]
    lines = _fit([_row(item, doing_of(item), now, columns) for item in shown], columns)
    if hidden and room:
        lines.append(((fitted(f"and {hidden} more at work", columns).rstrip(), "dim"),))
    return [*lines, *end]


def text_of(line: Line) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in line)


def _row(item: Item, doing: Doing | None, now: float, columns: int) -> _Row:
    phase = item.phase
    word = _SHORT.get(phase, phase) if columns < _NARROW else phase
    spent = spent_by(item, ">=")
    attempt = item.attempt
    by = [one_line(attempt.agent)] if item.names_agents and attempt else []
    by += [one_line(attempt.node)] if attempt and attempt.node else []
    return _Row(
        label=label_of(item),
        phase=str(word),
        attempt=" ".join([f"#{item.attempt_number}", *by]) if attempt else "",
        doing=_doing(item, doing, now),
        elapsed=shown_seconds(now - (item.began or now)),
        money=f"{spent} USD" if spent else "",
        style=_STYLES.get(phase, ""),
    )


def _doing(item: Item, doing: Doing | None, now: float) -> str:
    """What an item does now: the last step of its agent, or why it is between two attempts."""
    attempt = item.attempt
    if attempt is None:
        return ""
    if item.phase is Phase.BETWEEN:
        return one_line(attempt.summary)
    if item.phase is not Phase.AGENT or doing is None:
        return ""
    if doing.is_thinking and (now - doing.noticed >= _QUIET or not doing.step):
        return "thinking" + (f", {counted_tokens(doing.tokens)}" if doing.tokens else "")
    worktree = f"{attempt.worktree}/" if attempt.worktree else ""
    return one_line(doing.step.replace(worktree, "") if worktree else doing.step)


def counted_tokens(tokens: int) -> str:
    """``950 tokens``, ``12.3k tokens``, ``1.2M tokens``."""
    if tokens < 1000:
        return counted(tokens, "token")
    return f"{tokens / 1000:.1f}k tokens" if tokens < 999_950 else f"{tokens / 1_000_000:.1f}M tokens"


def _fit(rows: Sequence[_Row], columns: int) -> list[Line]:
    """The rows as lines with common columns. On a narrow terminal, columns are left out: first the steps."""
    if not rows:
        return []
    gap = 1 if columns < _NARROW else 2
    phase = max(width(row.phase) for row in rows)
    attempt = max(width(row.attempt) for row in rows)
    elapsed = max(width(row.elapsed) for row in rows)
    money = max(width(row.money) for row in rows)
    room = columns - phase - elapsed - 2 * gap
    if not money or room - money - gap < _LEAST_LABEL:
        money = 0
    room -= money + gap if money else 0
    if not attempt or room - attempt - gap < _LEAST_LABEL:
        attempt = 0
    room -= attempt + gap if attempt else 0
    label, doing = max(width(row.label) for row in rows), 0
    if any(row.doing for row in rows) and room >= _LEAST_LABEL + gap + _LEAST_DOING:
        label = min(label, max(_LEAST_LABEL, room * 2 // 5))
        doing = room - label - gap
    else:
        label = max(0, min(label, room))
        doing = max(0, room - label - gap)
    between = (" " * gap, "")
    lines = []
    for row in rows:
        cells: list[Segment] = [(fitted(row.label, label), "bold")]
        cells.append((fitted(row.phase, phase), row.style))
        cells += [(fitted(row.attempt, attempt), "")] if attempt else []
        cells += [(fitted(row.doing, doing), "dim")] if doing else []
        cells.append((row.elapsed.rjust(elapsed), ""))
        cells += [(row.money.rjust(money), "")] if money else []
        line = [segment for cell in cells for segment in (between, cell)][1:]
        lines.append(_cut(line, columns))
    return lines


def _cut(line: Sequence[Segment], columns: int) -> Line:
    """The beginning of a line that fits; only on a terminal of a few columns is there more."""
    segments = []
    for text, style in line:
        if width(text) > columns:
            text = fitted(text, columns)
        columns -= width(text)
        segments.append((text, style))
    return tuple(segment for segment in segments if segment[0])


def run_lines(run: Run, now: float, columns: int, *, stopping: str = "") -> list[Line]:
    """The lines of the run: usually one, on a narrow terminal more."""
    parts: list[Segment] = [(shown_seconds(now - run.began), "bold")]
    running, waiting = sum(1 for _ in run.running), sum(1 for _ in run.waiting)
    parts.append((f"{running} running", ""))
    outcomes = run.outcomes
    parts += [
        (f"{outcomes[word]} {word}", style)
        for word, style in _OUTCOMES.items()
        if outcomes[word] or word == "landed"
    ]
    parts.append((f"{waiting} waiting", ""))
    parts += [(money, "") for money in [_money(run)] if money]
    parts += [(left, "") for left in [_left(run, now)] if left]
    parts += [(f"agents wait: {one_line(run.api)}", "red")] if run.api else []
    parts += [(one_line(stopping), "red")] if stopping else []
    return _joined(parts, columns)


def _money(run: Run) -> str:
    nothing = "at least 0.00" if run.is_spent_partial else "0.00"
    spent, limit = spent_by(run) or nothing, run.limits.get("budget_usd")
    if limit is not None:
        return f"{spent} of {limit:.2f} USD spent"
    return f"{spent} USD spent" if run.spent or run.is_spent_partial else ""


def _left(run: Run, now: float) -> str:
    """How long it will take; a measure that has not ended may propose further tasks."""
    seconds = seconds_left(run, now)
    if not seconds:
        return ""
    more = any(item.kind == "measure" and not item.outcome for item in run.items.values())
    return f"{'at least' if more else 'about'} {shown_seconds(seconds)} left"


def _joined(parts: Sequence[Segment], columns: int) -> list[Line]:
    """The parts with commas between them, in as many lines as that takes."""
    lines: list[list[Segment]] = []
    used = columns
    for number, (text, style) in enumerate(parts):
        comma = "," if number < len(parts) - 1 else ""
        if width(text) + len(comma) > columns:
            text = fitted(text, columns - len(comma))
        if lines and used + 1 + width(text) + len(comma) <= columns:
            lines[-1] += [(" ", ""), (text, style), (comma, "")]
            used += 1 + width(text) + len(comma)
        else:
            lines.append([(text, style), (comma, "")])
            used = width(text) + len(comma)
    return [tuple(segment for segment in line if segment[0]) for line in lines]

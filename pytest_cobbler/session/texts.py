"""The header and the summary of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.config import Config
from pytest_cobbler.cycle.opened import Opened
from pytest_cobbler.cycle.outcome import Verdict
from pytest_cobbler.display import escaped, named, shown_path
from pytest_cobbler.landing.tree_records import UNKNOWN
from pytest_cobbler.lifecycle.selection import Outlook, Selection
from pytest_cobbler.session.limits import health_lines
from pytest_cobbler.session.money import estimate_lines, money_lines, spending_lines
from pytest_cobbler.session.nodes import AgentItem, MeasureItem, proposals
from pytest_cobbler.usage import NOTHING

_MOST = 20
"""The number of tasks that a line names; further ones are only counted."""


def header(opened: Opened, config: Config, turned_off: Sequence[str]) -> list[str]:
    """The lines of the header: the parts of the run, warnings, and settings that weaken the sandbox."""
    parts, generation = opened.run.parts, opened.run.project.generation
    lines = [
        f"cobbler: {generation.name} on {generation.base}" + (" (started now)" if opened.started else ""),
        *_sources(opened.sources),
        f"sandbox: {parts.sandbox.description}",
        *_nodes(config),
        *_agents(opened, config),
        *money_lines(opened.run, config),
        f"gate: {parts.gate.line or 'none: what lands is neither built nor tested'}",
    ]
    if opened.red:
        fails = named(map(escaped, opened.red.lines), _MOST) if opened.red.are_tests else opened.red.lines[0]
        lines.append(f"gate: fails on the tip as it is (red_base: allow): {fails}")
    if directory := parts.protection.directory.name:
        outside = parts.protection.outside
        but = f" but {named(map(escaped, outside), _MOST)} (allow_paths)" if outside else ""
        lines.append(f"directory: {directory}; tasks may change nothing else{but}")
    if parts.gate.steps and not parts.gate.collect:
        lines.append(f"gate: {UNKNOWN}: it leaves no report of its tests (gate_report)")
    for name, command in (("build", config.build_command), ("test", config.test_command)):
        if command is False:
            lines.append(f"gate: {name} is turned off")
    if parts.agents.hold_credentials:
        keeps = " (agent_network: proxy keeps it here)" if config.is_contained else ""
        lines.append(f"credential: handed to the agent, which can read it{keeps}")
    if opened.address and opened.run.asks_agents:
        lines.append(f"api: {opened.address}: prompts and the credential go there, not to Anthropic")
    lines += [f"given away: {what}" for what in config.given_away]
    if opened_files := parts.protection.opened:
        lines.append(f"gate: tasks may change {named(map(escaped, opened_files), _MOST)} (allow_paths)")
    lines += [f"warning: {what}" for what in opened.warnings]
    lines += _unseen(opened.unseen)
    name = parts.protection.directory.outward(config.path.relative_to(config.root).as_posix())
    if shown_path(name) in opened.unseen:
        follows = f"this run follows {config.path.name} as it is here, --cobbler-verify the committed one"
        lines.append(f"warning: {follows}")
    lines += turned_off
    lines += _recovered(opened)
    return lines + _not_taken(opened.selection)


def _unseen(paths: Sequence[str]) -> list[str]:
    return [f"warning: not committed, so agents do not see it: {named(paths)}"] if paths else []


def _nodes(config: Config) -> Iterator[str]:
    if config.sandbox == "slurm":
        gates = ", ".join(config.gate_site) or "this machine"
        yield " ".join((f"nodes: agents work on those of Slurm; gates on {gates}", *config.slurm_args))
    if config.sandbox == "kubernetes":
        yield "nodes: agents work in pods of Kubernetes; gates on this machine"


def _agents(opened: Opened, config: Config) -> Iterator[str]:
    """A line for each agent: the first, and those that work while the ones before them are limited."""
    if not opened.run.asks_agents:
        yield "agent: none is asked; finished work that is kept goes to its gate"
        return
    above: list[str] = []
    for named_agent in opened.run.parts.agents:
        agent, place = named_agent.agent, f"network {_network(named_agent.agent, config)}"
        when = f"while {' and '.join(above)} is limited" if above else f"{config.jobs} in parallel"
        yield f"{agent.description}, {when}, {place}"
        above.append(named_agent.name)


def _recovered(opened: Opened) -> list[str]:
    return [f"recovered: {line}" for line in opened.recovered]


def _network(agent: Agent, config: Config) -> str:
    if config.agent == "replay":
        return "none"
    if config.sandbox == "none":
        return "open"
    if config.agent_network == "proxy":
        return "proxy (the API alone)" if agent.proxied else "none (no credential to reach the API with)"
    return config.agent_network


def plan(outlook: Outlook) -> list[str]:
    """The lines of the header if no agent is to start."""
    name = outlook.generation.name if outlook.generation else "no generation yet"
    lines = [f"cobbler: {name}, nothing is started", *_sources(outlook.sources)]
    lines += [f"warning: {what}" for what in outlook.warnings]
    lines += _unseen(outlook.unseen)
    lines += estimate_lines(outlook.estimate)
    return lines + _not_taken(outlook.selection)


def _sources(removed: str) -> list[str]:
    return [f"cobbler: the generation {removed}"] if removed else []


def summary(
    opened: Opened,
    selection: Selection,
    items: Sequence[AgentItem],
    failures: Iterable[str],
    seen: Collection[str],
    cost: str,
) -> list[str]:
    """The lines of the run's summary below the table.

    Args:
        cost: that of what landed, of what did not, and of measures; empty if it is unknown.
        seen: the lines of the header. What it says of the start of the run is not repeated.
    """
    run = opened.run
    outcomes = [item.outcome for item in items if item.outcome]
    counts = Counter(str(item.outcome.verdict) for item in items if item.outcome and item.task_id)
    outcome_counts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    if sum(outcome.verdict is Verdict.FAILED for outcome in outcomes) > counts[Verdict.FAILED]:
        outcome_counts = (
            f"{outcome_counts}, a measure failed" if outcome_counts else "no task: the measure failed"
        )
    nothing = "no task" if run.asks_agents else "no finished work to land"
    lines = [f"{run.project.generation.name}: {outcome_counts or nothing}; tip {run.project.tip()[:12]}"]
    usage = sum((outcome.record.usage for outcome in outcomes), NOTHING)
    agent_seconds = sum(outcome.record.agent_seconds for outcome in outcomes)
    total = f", {usage.cost_shown}" if usage.cost_usd or usage.cost_is_partial else ""
    lines.append(f"agents: {agent_seconds:.1f} s{total}")
    lines += [f"cost: {cost}"] if cost else []
    lines += [usage.cached_shown] if usage.cached_shown else []
    lines += spending_lines(run)
    lines += health_lines(run.healths)
    measures = [item for item in items if isinstance(item, MeasureItem)]
    lines += [heading for item in measures for heading in proposals(item)[:1]]
    for item in measures:
        if item.omitted:
            lines.append(
                f"{item.name} proposed more (max_issues): {named(map(escaped, item.omitted), _MOST)}"
            )
    lines += [line for line in (*_recovered(opened), *_not_taken(selection)) if line not in seen]
    lines += failures
    lines.append(f"transcripts: {run.project.directory}")
    return lines


def all_deselected(count: int, addopts: str) -> str:
    """The reason for an empty session although there are items."""
    what = f"all {count} items were" if count > 1 else "the only item was"
    if not addopts:
        return f"{what} deselected"
    return f"{what} deselected; addopts: {addopts} (not in this run: -o addopts=)"


def _not_taken(selection: Selection) -> list[str]:
    """The open tasks that are not items, and why."""
    by_reason: dict[str, list[str]] = {}
    foreign = {task_id: f"belongs to {generation}" for task_id, generation in selection.foreign.items()}
    for task_id, why in {**selection.waiting, **foreign}.items():
        by_reason.setdefault(why, []).append(escaped(task_id))
    lines = [f"waiting: {named(ids, _MOST)}: {escaped(why)}" for why, ids in list(by_reason.items())[:_MOST]]
    if more := sum(map(len, list(by_reason.values())[_MOST:])):
        lines.append(f"waiting: {more} more")
    if selection.left:
        lines.append(f"left for the next run (max_issues): {named((t.id for t in selection.left), _MOST)}")
    return lines

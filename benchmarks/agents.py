"""How long the program of each agent takes to start, beside all that a task costs here.

    python -m benchmarks.agents --image NAME [--rounds 3] [--json FILE] [--page]

One task in podman with each of the real programs, whose API is scripted and answers without delay. Its own
start is the time from the start of the attempt to its first request, less the same time of a stand-in: a few
lines of bash that send one request. Beside it stands the whole task of the stand-in, from the claim to the
landing: the container, the harvest, the merge, a gate that is `true`, the landing. The agents take turns, so
that a machine that slows down does so for all. ``--image``: an image with git and bash. ``--page`` writes the
ratios into `docs/agents.md`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support import parts
from tests.support.agent_table import PAGE, rewrite
from tests.support.real_agents import ACP, ACP_GEMINI, DONE, EVERY, RealAgent
from tests.support.scripted_api import ScriptedApi, always
from tests.support.sessions import seed, task

BODY = '{"model":"claude-sonnet-5-5","max_tokens":10,"messages":[{"role":"user","content":"Write it"}]}'
ASK = f"""
body='{BODY}'
exec 3<>/dev/tcp/127.0.0.1/8377
printf 'POST /v1/messages HTTP/1.1\\r\\nHost: 127.0.0.1:8377\\r\\nContent-Type: application/json\\r\\n' >&3
printf 'x-api-key: %s\\r\\nContent-Length: %s\\r\\n' "$ANTHROPIC_API_KEY" ${{#body}} >&3
printf 'anthropic-version: 2023-06-01\\r\\nConnection: close\\r\\n\\r\\n%s' "$body" >&3
cat <&3 >/dev/null
echo right >work.txt
"""
STAND_IN = "stand-in"
BEGIN = "<!-- starts: python -m benchmarks.agents -->\n"
END = "<!-- end of starts -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image", required=True, help="an image with git and bash")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", action="store_true", help="write the ratios into docs/agents.md")
    options = parser.parse_args()
    parts.marked.add("claude")
    figures = measured(options.rounds, options.image)
    print(f"{'':<12}{'own start':>12}{'the task here':>16}{'ratio':>8}")
    for name, found in figures.items():
        print(f"{name:<12}{found['start']:>10.2f} s{found['ours']:>14.2f} s{found['ratio']:>8.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if options.page:
        rewrite(PAGE, BEGIN, END, table(figures))


def table(figures: dict[str, dict[str, float]]) -> str:
    """The ratios in Markdown, a column for each agent."""
    head, line = ["", *figures], ["---"] * (len(figures) + 1)
    ratios = ["own start / a task here", *(f"{found['ratio']:.2f}" for found in figures.values())]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, line, ratios))


def measured(rounds: int, image: str) -> dict[str, dict[str, float]]:
    """Agent -> the median seconds of its own start, those of a task beside it, and their ratio."""
    stand_in = replace(
        ACP,
        name=STAND_IN,
        agent="command",
        settings={"model": None, "agent_command": ["bash", "-c", ASK], "agent_api": "messages"},
        arguments=(),
    )
    taken: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for one in (stand_in, *EVERY.values(), ACP_GEMINI):
            with tempfile.TemporaryDirectory(prefix="cobbler-benchmark-") as base:
                taken.setdefault(one.name, []).append(_run(Path(base), one, image))
    base_start, ours = (statistics.median(values) for values in zip(*taken.pop(STAND_IN), strict=True))
    starts = {name: statistics.median(start for start, _ in values) for name, values in taken.items()}
    return {
        name: {"start": start - base_start, "ours": ours, "ratio": (start - base_start) / ours}
        for name, start in starts.items()
    }


def _run(base: Path, one: RealAgent, image: str) -> tuple[float, float]:
    """Seconds from the start of the attempt to the first request, and of the whole task."""
    base.chmod(0o755)
    with ScriptedApi() as api, Project.create(base / "project", StandInAgent(base / "agent")) as project:
        mounts = [] if one.name == STAND_IN else one.mounted(base)
        project.configure(
            sandbox="podman",
            podman_image=image,
            podman_args=mounts,
            cycles=0,
            max_attempts=1,
            **one.usual,
        )
        seed(project, task("p-1", title="Write it"))
        if one.name == STAND_IN:
            api.script("Write it", [always(DONE)])
        else:
            api.script("Write it", [one.runs("echo right >work.txt"), DONE])
        result = project.run("--cobbler-generate", env=one.environment(api), timeout=600)
        assert len(project.landed()) == 1, "\n".join([*result.outlines, *result.errlines])
        return _times(project)


def _times(project: Project) -> tuple[float, float]:
    (journal,) = (project.path / ".cobbler").glob("*/journal.jsonl")
    (log,) = (project.directory / "work").glob("*/log/events.jsonl")
    times: dict[str, float] = {}
    for path in (journal, log):
        for line in path.read_text("utf-8").splitlines():
            event = json.loads(line)
            moment = datetime.fromisoformat(event["time"]).timestamp()
            times.setdefault(event["event"], moment)
    return times["request"] - times["attempt"], times["land"] - times["claim"]


if __name__ == "__main__":
    main()

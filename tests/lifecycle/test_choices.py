"""Agent and model by labels: only those that the configuration names, whatever the label says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_cobbler.config import Config, load
from pytest_cobbler.cycle.proposals import parse, to_new_tasks
from pytest_cobbler.lifecycle.choices import Choice, ChoiceProblem, choice_of, labelled, refused_labels
from pytest_cobbler.tracker.base import Task

SEVERAL = """
agent: [claude, codex]
model: {claude: opus, codex: sol}
escalate: {codex: sol-max}
models: [opus, sol, sol-max, luna]
"""
ONE = "model: haiku\nescalate: opus\nmodels: [haiku, opus, sonnet]\n"


def config(directory: Path, text: str) -> Config:
    path = directory / "configuration.yaml"
    path.write_text(f"podman_image: localhost/agent\n{text}")
    return load(path)


@pytest.mark.parametrize(
    ("text", "labels", "agents", "model"),
    [
        (SEVERAL, ["generation-1", "agentic", "models"], ("claude", "codex"), ""),
        (SEVERAL, ["agent:codex"], ("codex",), ""),
        (SEVERAL, ["model:opus"], ("claude",), "opus"),
        (SEVERAL, ["agent:codex", "model:sol-max"], ("codex",), "sol-max"),
        (ONE, ["agent:claude"], ("claude",), ""),
        (ONE, ["model:sonnet"], ("claude",), "sonnet"),
        (ONE, ["model:opus"], ("claude",), "opus"),
    ],
)
def test_labels_choose_among_what_the_configuration_names(
    tmp_path: Path, text: str, labels: list[str], agents: tuple[str, ...], model: str
) -> None:
    chosen = labelled(config(tmp_path, text), labels)
    assert (chosen.agents, chosen.model) == (agents, model)


@pytest.mark.parametrize(
    ("text", "labels", "message"),
    [
        (SEVERAL, ["agent:replay"], "replay is not in the key agent of configuration.yaml"),
        (SEVERAL, ["agent:command"], "command is not in the key agent of configuration.yaml"),
        (SEVERAL, ["agent:/bin/sh"], "/bin/sh is not in the key agent of configuration.yaml"),
        (SEVERAL, ["agent:Codex"], "Codex is not in the key agent of configuration.yaml"),
        (SEVERAL, ["agent:"], "its label agent: names nothing"),
        (SEVERAL, ["agent:claude", "agent:codex"], "it has two labels that begin with agent:"),
        (SEVERAL, ["model:luna"], "luna is not a model that configuration.yaml names"),
        (
            SEVERAL,
            ["agent:claude", "model:sol"],
            "sol is not a model that configuration.yaml names for claude",
        ),
        ("", ["model:opus"], "opus is not a model that configuration.yaml names"),
        (ONE, ["model:--x\x1b[1m"], r"--x\x1b[1m is not a model that configuration.yaml names"),
        ("agent: command\nagent_command: [a]\n", ["agent:claude"], "claude is not in the key agent of"),
    ],
)
def test_a_label_brings_in_no_program_and_no_model(
    tmp_path: Path, text: str, labels: list[str], message: str
) -> None:
    settings = config(tmp_path, text)
    with pytest.raises(ChoiceProblem) as caught:
        labelled(settings, labels)
    assert caught.value.cause.startswith(message)
    tasks = [Task(id="p-1", title="a", labels=tuple(labels)), Task(id="p-2", title="b")]
    assert list(refused_labels(settings, tasks)) == ["p-1"]


def test_a_hostile_measure_chooses_nothing(tmp_path: Path) -> None:
    wish = {
        "labels": ["agent:codex", "model:luna"],
        "agent": "codex",
        "model": "luna",
        "metadata": {"agent": 1},
    }
    answer = [{"index": 0, "title": "agent:codex", "description": "model:luna", **wish}]
    (task,) = to_new_tasks(parse(json.dumps(answer).encode()), "generation-1", "ours")
    assert task.labels == ("generation-1", "ours")
    assert labelled(config(tmp_path, SEVERAL), task.labels) == choice_of(config(tmp_path, SEVERAL))


def test_a_failed_attempt_is_followed_by_one_of_the_stronger_model(tmp_path: Path) -> None:
    chosen = choice_of(config(tmp_path, SEVERAL))
    assert [chosen.model_for("codex", again=again) for again in (False, True)] == ["", "sol-max"]
    assert [chosen.model_for("claude", again=again) for again in (False, True)] == ["", ""]
    labelled_opus = labelled(config(tmp_path, ONE), ["model:sonnet"])
    assert [labelled_opus.model_for("claude", again=again) for again in (False, True)] == ["sonnet", "opus"]
    assert Choice(agents=("a",)).model_for("a", again=True) == ""

"""``--cobbler-start``: tag the base, make the generation branch with its first commit."""

from __future__ import annotations

import sys

import pytest

from pytest_cobbler.actions.locked import locked
from pytest_cobbler.config import load
from pytest_cobbler.display import escaped_lines
from pytest_cobbler.invocation import configuration_path, overrides
from pytest_cobbler.lifecycle.named_places import checked_language
from pytest_cobbler.lifecycle.starting import find_base, removed_sources, start_generation, uncommitted
from pytest_cobbler.repository.generations import Generation, active_generations
from pytest_cobbler.wiring.project import open_repository


def run(config: pytest.Config) -> int:
    """Start a generation; the user's checkout stays as it is.

    Raises:
        CobblerError: there is nothing to start from.
    """
    settings = load(configuration_path(config, "--cobbler-start"), overrides(config))
    repository = open_repository(settings)
    with locked(settings, repository, "--cobbler-start"):
        base = find_base(settings, repository)
        language = checked_language(settings, repository, (base.commit,))
        generation = start_generation(settings, repository, language, base)
        active = active_generations(repository, settings.gen_prefix)
    notes = [uncommitted(settings, repository)]
    if removed := removed_sources(repository, generation):
        notes.append(f"It {removed}.")
    _say(generation, list(active), notes)
    return 0


def _say(generation: Generation, active: list[str], notes: list[str]) -> None:
    lines = [f"Started {generation.name} from {generation.base} ({generation.start[:12]})."]
    lines += filter(None, notes)
    if len(active) > 1:
        lines += [
            f"Active generations: {', '.join(active)}.",
            f"Choose the one to work on: pytest --cobbler-switch {generation.name}",
        ]
    else:
        lines.append("Next: pytest --cobbler-generate")
    sys.stdout.write(escaped_lines("\n".join(lines)) + "\n")

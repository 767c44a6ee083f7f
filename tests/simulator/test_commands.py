"""Commands and acts of people in any order, on real git with the embedded store."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulator.commands import Commands
from tests.support import markers

pytestmark = pytest.mark.matrix("commands in any order")


def test_commands_in_any_order_lose_nothing(every_case: bool) -> None:
    number = random.Random(f"commands {markers.seed()}").getrandbits(32)
    run_state_machine_as_test(
        seed(number)(Commands),
        settings=settings(
            max_examples=40 if every_case else 3,
            stateful_step_count=25 if every_case else 12,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.normal,
        ),
    )

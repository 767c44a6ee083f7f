"""The price list, held against that of the claude program."""

from __future__ import annotations

import pytest

from pytest_cobbler.agents.prices import PRICES, cost_of
from tests.support.scripted_api import ScriptedApi, text, turn
from tests.support.workplaces import Workplace, claude

USAGE = {
    "input_tokens": 1_300,
    "output_tokens": 700,
    "cache_read_input_tokens": 11_000,
    "cache_creation_input_tokens": 1_700,
}
FOR_AN_HOUR = {"cache_creation": {"ephemeral_5m_input_tokens": 700, "ephemeral_1h_input_tokens": 1_000}}


@pytest.mark.parametrize("more", [{}, FOR_AN_HOUR], ids=["five minutes", "an hour"])
@pytest.mark.parametrize("model", PRICES)
def test_a_price_is_that_of_claude(
    api: ScriptedApi, workplace: Workplace, model: str, more: dict[str, object]
) -> None:
    usage = USAGE | more
    api.script("", [turn(text("Done."), usage=usage)])

    result = workplace.run(claude(api, model=model))

    assert result.error == ""
    assert cost_of(model, usage) == pytest.approx(result.usage.cost_usd)


def test_a_model_with_a_date_is_the_same_model() -> None:
    assert cost_of("claude-opus-5-5-20260101", USAGE) == cost_of("claude-opus-5-5", USAGE)


def test_of_another_model_nothing_is_known() -> None:
    assert cost_of("claude-x", USAGE) is None


def test_what_is_no_number_costs_nothing() -> None:
    assert cost_of("claude-opus-5-5", {"input_tokens": "1", "output_tokens": -5, "cache_creation": []}) == 0

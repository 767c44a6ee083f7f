"""The price list, compared with that of the claude program."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.prices import FILE, PriceList, read_prices
from pytest_cobbler.errors import UsageProblem
from tests.support.scripted_api import ScriptedApi, text, turn
from tests.support.take_in_prices import PROVIDERS, text_of
from tests.support.workplaces import Workplace, claude

PRICES = PriceList()
MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2")
"""The models to which the aliases of claude 2.1.330 lead."""

USAGE = {
    "input_tokens": 1_300,
    "output_tokens": 700,
    "cache_read_input_tokens": 11_000,
    "cache_creation_input_tokens": 1_700,
}
FOR_AN_HOUR = {"cache_creation": {"ephemeral_5m_input_tokens": 700, "ephemeral_1h_input_tokens": 1_000}}
CASES: dict[str, dict[str, Any]] = {
    "five minutes": USAGE,
    "an hour": USAGE | FOR_AN_HOUR,
    "a long prompt": USAGE | FOR_AN_HOUR | {"cache_read_input_tokens": 300_000},
    "nearly long": USAGE | {"cache_read_input_tokens": 97_000},
    "searches": USAGE | {"server_tool_use": {"web_search_requests": 3}},
    "in one country": USAGE | {"inference_geo": "us"},
}


@pytest.mark.parametrize("model", MODELS)
def test_the_prices_are_those_of_claude(api: ScriptedApi, workplace: Workplace, model: str) -> None:
    """One run with a turn for each case; its cost is the sum."""
    *work, last = CASES.values()
    look = {"type": "tool_use", "name": "Bash", "input": {"command": "true"}}
    api.script("", [*(turn(look, usage=usage) for usage in work), turn(text("Done."), usage=last)])

    result = workplace.run(claude(api, model=model))

    assert result.error == ""
    costs = {name: PRICES.cost_of(model, usage) or 0.0 for name, usage in CASES.items()}
    assert sum(costs.values()) == pytest.approx(result.usage.cost_usd), costs


def test_a_model_with_a_date_is_the_same_model() -> None:
    assert PRICES.cost_of("claude-opus-5-5-20260101", USAGE) == PRICES.cost_of("claude-opus-5-5", USAGE)


@pytest.mark.parametrize("model", ["claude-x", "", "opus", "claude-opus"])
def test_the_cost_of_another_model_is_unknown(model: str) -> None:
    assert PRICES.cost_of(model, USAGE) is None


def test_a_value_that_is_not_a_number_costs_nothing() -> None:
    usage = {"input_tokens": "1", "output_tokens": -5, "cache_creation": [], "server_tool_use": {"x": 1}}
    assert PRICES.cost_of("claude-opus-5-5", usage) == 0


def test_a_long_prompt_of_haiku_has_five_times_the_price() -> None:
    short, long = ({"input_tokens": tokens, "output_tokens": 1000} for tokens in (100_000, 100_001))
    assert PRICES.cost_of("claude-haiku-5-5", short) == 0.0105
    assert PRICES.cost_of("claude-haiku-5-5", long) == pytest.approx(0.0525005)


def test_fast_mode_has_prices_of_its_own() -> None:
    usual = PRICES.cost_of("claude-opus-5-5", USAGE)
    assert PRICES.cost_of("claude-opus-5-5", USAGE | {"speed": "fast"}) == pytest.approx(2 * (usual or 0))


class TestTheList:
    def test_the_table_names_its_source_and_date(self) -> None:
        prices = json.loads(FILE.read_bytes())
        assert prices["source"].startswith("genai-prices-")
        assert len(prices["sha256"]) == 64
        assert date.fromisoformat(prices["date"]) >= date(2026, 11, 29)

    def test_every_model_has_its_own_price(self) -> None:
        for model in json.loads(FILE.read_bytes())["models"]:
            assert model["provider"] in PROVIDERS
            assert re.search(model["match"], model["model"]) or model["provider"] != "anthropic"
        expected = {"claude-opus-4-6": 5, "claude-haiku-4-5": 1, "gpt-4o": 2.5, "gemini-2.5-flash": 0.3}
        million = {"input_tokens": 1_000_000}
        found = {model: PRICES.cost_of(model, million) for model in expected}
        assert found == pytest.approx(expected)

    def test_the_table_is_what_the_program_makes_of_its_source(self) -> None:
        models = text_of(SOURCE, "genai-prices-9.9.9", date(2026, 3, 1))
        first, second = json.loads(models)["models"]
        assert first == {
            "provider": "anthropic",
            "model": "claude-a",
            "match": r"(?:^claude\-a$)|(?:^claude-a-\d{8}$)",
            "input": 4,
            "output": 20,
            "cache_write_1h": 8,
            "fast": {"input": 8},
            "web_search": 10,
            "window": 1000,
        }
        assert second["above"] == [{"tokens": 200_000, "input": 2.5, "output": 9}]


SOURCE = """
providers: list[Provider] = [
    Provider(id='anthropic', models=[
        ModelInfo(
            id='claude-a',
            match=ClauseOr(or_=[ClauseEquals(equals='claude-a'), ClauseRegex(regex='^claude-a-\\\\d{8}$')]),
            context_window=1000,
            prices=[
                ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('5'), output_mtok=Decimal('25'))),
                ConditionalPrice(
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 3, 1)),
                    prices=ModelPrice(
                        input_mtok=Decimal('4'),
                        output_mtok=Decimal('20'),
                        cache_write_1h_mtok=Decimal('8'),
                        web_searches_kcount=Decimal('10'),
                    ),
                ),
                ConditionalPrice(
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 3, 2)),
                    prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('1')),
                ),
            ],
            price_variants=[
                PriceVariant(when={'processing': 'batch'}, prices=ModelPrice(input_mtok=Decimal('2'))),
                PriceVariant(when={'speed': 'fast'}, prices=ModelPrice(input_mtok=Decimal('8'))),
            ],
        ),
    ]),
    Provider(id='openai', models=[
        ModelInfo(
            id='long',
            match=ClauseContains(contains='long'),
            prices=ModelPrice(
                input_mtok=TieredPrices(
                    base=Decimal('1.5'), tiers=[Tier(start=200000, price=Decimal('2.5'))]
                ),
                output_mtok=Decimal('9'),
            ),
        ),
        ModelInfo(id='sound', match=ClauseEquals(equals='sound'), prices=ModelPrice(input_mtok=Decimal('1'))),
    ]),
    Provider(id='google', models=[]),
]
"""


class TestAFileOfTheUser:
    def test_a_file_replaces_prices_and_adds_others(self, tmp_path: Path) -> None:
        path = tmp_path / "prices.yaml"
        path.write_text(
            "claude-opus-5-5: {input: 1, output: 2}\nours: {input: 3, output: 4, cache_read: 0}\n"
        )
        prices = PriceList(read_prices(path))
        million = {"input_tokens": 1_000_000, "cache_read_input_tokens": 1_000_000}
        assert prices.cost_of("claude-opus-5-5", million) == 2
        assert prices.cost_of("claude-opus-5-5-20260101", million) == 2
        assert prices.cost_of("ours", million) == 3
        assert prices.cost_of("claude-sonnet-5-5", million) == 2.1

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("", "there is no model in it"),
            ("[]", "there is no model in it"),
            ("m: 3", "m has no prices"),
            ("m: {input: 3}", "m: output is missing"),
            ("m: {input: 3, output: -1}", "m: output is not a price"),
            ("m: {input: 3, output: many}", "m: output is not a price"),
            ("m: {input: 3, output: 1, cached: 2}", "m: cached is not the name of a price"),
            ("m: {input: 3, output: 1, above: [{input: 2, output: 3}]}", "m: tokens is missing"),
            ("m: {", "while parsing a flow *"),
        ],
    )
    def test_an_error_names_the_model(self, tmp_path: Path, content: str, why: str) -> None:
        path = tmp_path / "prices.yaml"
        path.write_text(content)
        with pytest.raises(UsageProblem) as problem:
            read_prices(path)
        assert re.match(rf"prices: prices\.yaml: {why.replace('*', '.*')}", problem.value.cause)

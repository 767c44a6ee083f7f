"""The first lines about money: how a budget is held, and at which prices."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.budget import Budget, Limits
from pytest_cobbler.agents.prices import picodollars
from pytest_cobbler.config import load
from pytest_cobbler.session.money import money_lines, spending_lines


def lines(place: Path, *, proxied: bool, budget: float | None = 2) -> list[str]:
    path = place / "configuration.yaml"
    path.write_text(
        "agent: claude\nsandbox: podman\npodman_image: image\nlanguage: none\ntest_command: 'true'\n"
    )
    run: Any = types.SimpleNamespace(
        asks_agents=True,
        budget=Budget(Limits(budget_usd=None if budget is None else picodollars(budget))),
        parts=types.SimpleNamespace(agents=types.SimpleNamespace(proxied=proxied)),
    )
    return list(money_lines(run, load(path)))


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_a_login_by_subscription_is_counted_at_list_price_and_the_header_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-worthless")
    told = "budget: a login by subscription is counted at list price"
    assert lines(tmp_path, proxied=True) == ["budget: 2.00 USD for this run", told]
    without = ["budget: none (budget_usd, --cobbler-budget)", told]
    assert lines(tmp_path, proxied=True, budget=None) == without
    assert lines(tmp_path, proxied=False, budget=None) == without


def test_a_key_has_no_further_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-worthless")
    assert lines(tmp_path, proxied=True) == ["budget: 2.00 USD for this run"]


def test_a_budget_that_no_proxy_holds_is_weaker_and_the_header_tells(tmp_path: Path) -> None:
    _, second = lines(tmp_path, proxied=False)
    assert second.startswith("budget: not behind the proxy, agents are stopped between turns")


def test_a_price_that_is_unknown_is_named_once_with_its_tokens() -> None:
    run: Any = types.SimpleNamespace(budget=Budget(Limits(budget_tokens=50)))
    for model, tokens in (("ours", 5), ("\x1b[1mtheirs", 1), ("ours", 7)):
        run.budget.note_unpriced(model, tokens)
    assert list(spending_lines(run)) == [
        "budget: 0 of 50 tokens spent (budget_tokens)",
        r"price unknown: \x1b[1mtheirs, 1 tokens; name its price in a file (prices)",
        "price unknown: ours, 12 tokens; name its price in a file (prices)",
    ]

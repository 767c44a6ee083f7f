"""Makes pytest_cobbler/data/prices.json from the data of genai-prices, whose package brings an HTTP client.

    pip download --no-deps --no-binary :all: genai-prices
    python -m tests.support.take_in_prices genai_prices-VERSION.tar.gz

The data is Python source. It is parsed and never run.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pytest_cobbler.agents.prices import FILE

PROVIDERS = ("anthropic", "openai", "google")

RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
}
"""Name of a price there -> name in our file, in US dollars per million tokens."""

Node = dict[str, Any]


def take_in(archive: Path, today: date) -> str:
    """The text of the price file."""
    name = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as package:
        member = package.extractfile(f"{name}/genai_prices/data.py")
        assert member is not None
        source = member.read()
    return text_of(source.decode(), name.replace("_", "-"), today)


def text_of(source: str, name: str, today: date) -> str:
    """The text of the price file; ``source`` is the data of the package ``name``."""
    models = [json.dumps(model) for model in models_in(source, today)]
    head = {
        "source": f"{name} (MIT), https://github.com/pydantic/genai-prices",
        "sha256": hashlib.sha256(source.encode()).hexdigest(),
        "date": today.isoformat(),
    }
    lines = ",\n  ".join(models)
    return f'{json.dumps(head, indent=1)[:-2]},\n "models": [\n  {lines}\n ]\n}}\n'


def models_in(source: str, today: date) -> Iterator[Node]:
    """The models of ``PROVIDERS`` that have prices of text."""
    providers = {provider["id"]: provider for provider in _providers(ast.parse(source))}
    for name in PROVIDERS:
        for model in providers[name]["models"]:
            rates, above = _rates(_current(model["prices"], today))
            if not {"input", "output"} <= rates.keys():
                continue
            facts: Node = {"provider": name, "model": model["id"], "match": _pattern(model["match"]), **rates}
            if above:
                facts["above"] = above
            fast = [one for one in model.get("price_variants") or () if one["when"] == {"speed": "fast"}]
            if fast:
                facts["fast"], _ = _rates(fast[-1]["prices"])
            if searches := _current(model["prices"], today).get("web_searches_kcount"):
                facts["web_search"] = _plain(searches)
            if window := model.get("context_window"):
                facts["window"] = window
            yield facts


def _providers(tree: ast.Module) -> list[Node]:
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "providers":
            assert statement.value is not None
            value: list[Node] = _value(statement.value)
            return value
    raise ValueError("the data has no providers")


def _value(node: ast.expr) -> Any:
    """Calls become objects with the name of what is called; numbers and dates become values."""
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_value(item) for item in node.elts]
        case ast.Dict():
            keys = [_value(key) for key in node.keys if key is not None]
            return dict(zip(keys, map(_value, node.values), strict=True))
        case ast.Call():
            kind = ast.unparse(node.func)
            if kind == "Decimal":
                return float(_value(node.args[0]))
            if kind == "datetime.date":
                return date(*map(_value, node.args))
            return {"kind": kind, **{str(word.arg): _value(word.value) for word in node.keywords}}
        case ast.Attribute():
            return str(ast.unparse(node))
        case _:
            raise ValueError(f"unexpected: {ast.unparse(node)}")


def _current(prices: Node | list[Node], today: date) -> Node:
    """The prices that are valid today; later entries of a list replace earlier ones."""
    if isinstance(prices, dict):
        return prices
    valid = [
        one["prices"] for one in prices if (one.get("constraint") or {}).get("start_date", date.min) <= today
    ]
    current: Node = valid[-1]
    return current


def _rates(prices: Mapping[str, Any]) -> tuple[Node, list[Node]]:
    """The prices of a short prompt, and those of a prompt with more tokens than a number."""
    base: Node = {}
    above: dict[int, Node] = {}
    for theirs, ours in RATES.items():
        price = prices.get(theirs)
        if price is None:
            continue
        if isinstance(price, dict):
            base[ours] = _plain(price["base"])
            for tier in price["tiers"]:
                above.setdefault(tier["start"], {})[ours] = _plain(tier["price"])
        else:
            base[ours] = _plain(price)
    return base, [{"tokens": start, **base, **above[start]} for start in sorted(above)]


def _plain(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _pattern(clause: Node) -> str:
    """A regular expression that finds the names of the model."""
    match clause["kind"]:
        case "ClauseEquals":
            return f"^{re.escape(str(clause['equals']))}$"
        case "ClauseStartsWith":
            return f"^{re.escape(str(clause['starts_with']))}"
        case "ClauseEndsWith":
            return f"{re.escape(str(clause['ends_with']))}$"
        case "ClauseContains":
            return re.escape(str(clause["contains"]))
        case "ClauseRegex":
            return str(clause["regex"])
        case "ClauseOr":
            return "|".join(f"(?:{_pattern(one)})" for one in clause["or_"])
        case "ClauseAnd":
            return "^" + "".join(f"(?=.*?(?:{_pattern(one)}))" for one in clause["and_"])
        case kind:
            raise ValueError(f"unexpected: {kind}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, help="the source distribution of genai-prices")
    FILE.write_text(take_in(parser.parse_args().archive, datetime.now(UTC).date()), "utf-8")


if __name__ == "__main__":
    main()

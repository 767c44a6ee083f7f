"""The JSON schema of the configuration, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_cobbler.config.keys import Key, keys
from pytest_cobbler.config.model import Config

FILE = Path(__file__).parent.parent / "data" / "configuration.schema.json"


def json_schema() -> dict[str, Any]:
    """The schema."""
    generated = Config.model_json_schema()["properties"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "configuration.yaml of pytest-cobbler",
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _property(key, generated[key.name]) for key in keys()},
    }


def text() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def write() -> None:
    """Bring the published file up to date."""
    FILE.write_text(text(), encoding="utf-8")


def _property(key: Key, generated: dict[str, Any]) -> dict[str, Any]:
    """A key's schema that also accepts an empty value, which means the default."""
    kept = {"description": key.description} | ({} if key.default is None else {"default": key.default})
    rest = {
        name: value for name, value in generated.items() if name not in ("description", "default", "title")
    }
    choices = [choice for choice in rest.pop("anyOf", [rest]) if choice != _NOTHING]
    if len(choices) == 1 and isinstance(choices[0].get("type"), str):
        return {**kept, **_or_nothing(choices[0])}
    return {**kept, "anyOf": [*choices, _NOTHING]}


def _or_nothing(choice: dict[str, Any]) -> dict[str, Any]:
    enum = {"enum": [*choice["enum"], None]} if "enum" in choice else {}
    return {**choice, **enum, "type": [choice["type"], "null"]}


_NOTHING = {"type": "null"}


if __name__ == "__main__":
    write()

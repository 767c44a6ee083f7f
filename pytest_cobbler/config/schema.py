"""The JSON schema of the configuration, for editors.

``python -m pytest_cobbler.config.schema`` writes its file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_cobbler.config.model import PLANNED_KEYS, PLANNED_VALUES, Config

FILE = Path(__file__).parent.parent / "data" / "configuration.schema.json"


def json_schema() -> dict[str, Any]:
    """The schema; ``x-planned`` and ``x-planned-values`` name what is not accepted yet."""
    generated = Config.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "configuration.yaml of pytest-cobbler",
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _property(value) for key, value in generated["properties"].items()},
        "x-planned": dict(PLANNED_KEYS),
        "x-planned-values": {key: list(values) for key, values in PLANNED_VALUES.items()},
    }


def text() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _property(generated: dict[str, Any]) -> dict[str, Any]:
    """A key's schema that also takes nothing at all: an empty value asks for the default."""
    kept = {name: generated[name] for name in ("description", "default") if generated.get(name) is not None}
    rest = {
        name: value for name, value in generated.items() if name not in ("description", "default", "title")
    }
    choices = rest.pop("anyOf", None) or [rest]
    return {**kept, "anyOf": [*(choice for choice in choices if choice != _NOTHING), _NOTHING]}


_NOTHING = {"type": "null"}

if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")

"""The tables of keys in a page; ``python -m pytest_cobbler.config.reference PAGE`` brings them up to date."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from pytest_cobbler.config.keys import Key, keys
from pytest_cobbler.config.schema import json_schema
from pytest_cobbler.config.values import SIZE

ANCESTOR = frozenset(
    {
        "beads_dir",
        "binary_dir",
        "binary_name",
        "claude_args",
        "cleanup_dirs",
        "cobbler_dir",
        "cycles",
        "default_token_file",
        "estimated_lines_max",
        "estimated_lines_min",
        "gen_prefix",
        "generation_branch",
        "go_source_dirs",
        "magefiles_dir",
        "main_package",
        "max_issues",
        "measure_prompt",
        "module_path",
        "podman_args",
        "podman_image",
        "secrets_dir",
        "seed_files",
        "silence_agent",
        "spec_globs",
        "stitch_prompt",
        "token_file",
        "user_prompt",
        "version_file",
    }
)
"""The keys of mage-claude-orchestrator."""

BEGIN = "<!-- written by: python -m pytest_cobbler.config.reference docs/configuration.md -->"
END = "<!-- end of what is written -->"


def tables() -> str:
    """A heading and a table for each section."""
    properties = json_schema()["properties"]
    return "\n".join(
        "\n".join([f"### {section}\n", *_table(of_section, properties)]) + "\n"
        for section, of_section in groupby(keys(), key=lambda key: key.section)
    )


def renewed(text: str) -> str:
    """A page with the tables brought up to date between ``BEGIN`` and ``END``."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is nothing between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def _table(of_section: Iterator[Key], properties: dict[str, Any]) -> Iterator[str]:
    yield "| key | default | allowed | meaning | mage |"
    yield "|---|---|---|---|---|"
    for key in of_section:
        meaning, _, otherwise = key.description.removesuffix(".").partition("; default: ")
        default = _shown(key.default) if key.default is not None else _code(otherwise) or "none"
        cells = [f"`{key.name}`", default, _allowed(properties[key.name]), _code(meaning)]
        yield f"| {' | '.join(cells)} | {'yes' if key.name in ANCESTOR else ''} |"


def _code(meaning: str) -> str:
    """Placeholders, options and the names of keys as code."""
    return re.sub(r"\{\{\.\w+\}\}|--cobbler-[a-z-]+|\*\*|\b[a-z]+(?:_[a-z]+)+\b", r"`\g<0>`", meaning)


def _shown(default: Any) -> str:
    if isinstance(default, str) and default:
        return f"`{default}`"
    return f"`{yaml.safe_dump(default, default_flow_style=True).split(chr(10))[0]}`"


def _allowed(value: dict[str, Any]) -> str:
    """What the schema lets one write, in words."""
    choices = [choice for choice in value.get("anyOf", [value]) if choice.get("type") != "null"]
    return _either(list(dict.fromkeys(word for choice in choices for word in _kinds(choice))))


def _kinds(value: dict[str, Any]) -> list[str]:
    if "enum" in value:
        return [f"`{word}`" for word in value["enum"] if word is not None]
    return [_kind(value)]


def _kind(value: dict[str, Any]) -> str:
    if "const" in value:
        return f"`{str(value['const']).lower()}`"
    if value.get("pattern") == SIZE or ("integer" in _types(value) and "maximum" not in value):
        return "size"
    if "exclusiveMinimum" in value:
        return "US dollars"
    if "pattern" in value or "number" in _types(value):
        return "time"
    if "integer" in _types(value):
        return f"{value['minimum']} to {value['maximum']}"
    if "boolean" in _types(value):
        return "`true` or `false`"
    return {"string": "text", "array": "list", "object": "mapping"}[_types(value)[0]]


def _types(value: dict[str, Any]) -> list[str]:
    types = value["type"]
    return [types] if isinstance(types, str) else list(types)


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _main() -> None:
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(renewed(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    _main()

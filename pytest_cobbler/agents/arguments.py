"""The options in a command line of claude, told apart from their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Arguments"]

# From `claude --help` of 2.1.330, and its options for programs, which it does not list. An option that
# takes a value takes the next argument whatever that is. One that may have a value, or that is not here,
# takes no argument that begins with a dash; whether it takes another one makes no difference here.
_WITH_VALUE: Final = frozenset(
    {
        "--add-dir",
        "--agent",
        "--agents",
        "--allowed-tools",
        "--allowedTools",
        "--append-system-prompt",
        "--append-system-prompt-file",
        "--autocompact",
        "--betas",
        "--debug-file",
        "--disallowed-tools",
        "--disallowedTools",
        "--effort",
        "--environment",
        "--fallback-model",
        "--file",
        "--input-format",
        "--json-schema",
        "--max-budget-usd",
        "--max-thinking-tokens",
        "--max-turns",
        "--mcp-config",
        "--model",
        "--name",
        "--output-format",
        "--permission-mode",
        "--permission-prompt-tool",
        "--permission-prompts",
        "--plugin-dir",
        "--plugin-url",
        "--remote-control-session-name-prefix",
        "--resume-session-at",
        "--session-id",
        "--setting-sources",
        "--settings",
        "--system-prompt",
        "--system-prompt-file",
        "--system-prompt-snapshot",
        "--tools",
        "-n",
    }
)
_SHORT_FLAGS: Final = frozenset("cpv")
_SHORT_WITH_VALUE: Final = frozenset("dnrw")
_SHORT: Final = {"-c": "--continue", "-n": "--name", "-p": "--print", "-r": "--resume"}


@dataclass(frozen=True)
class Arguments:
    """The arguments of claude: ``options`` with their values, and ``rest``, from ``--`` on."""

    options: tuple[str, ...]
    rest: tuple[str, ...]
    values: dict[str, str]
    """The long name of every option that is given -> its last value, empty for a flag."""

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Arguments:
        values: dict[str, str] = {}
        position = 0
        while position < len(arguments) and arguments[position] != "--":
            for name, value in _named(arguments[position]):
                if name in _WITH_VALUE and value is None:
                    position += 1
                    value = arguments[position] if position < len(arguments) else ""
                values[_SHORT.get(name, name)] = value or ""
            position += 1
        return cls(tuple(arguments[:position]), tuple(arguments[position:]), values)

    def has(self, *names: str) -> bool:
        """Whether one of these options, by its long name, is given."""
        return not self.values.keys().isdisjoint(names)

    def with_options(self, added: Sequence[str]) -> tuple[str, ...]:
        """All arguments and ``added``; of an option that is given twice the last value counts."""
        return (*self.options, *added, *self.rest)


def _named(argument: str) -> Iterator[tuple[str, str | None]]:
    """The options in one argument, each with the value that is written into it, if one is."""
    if argument.startswith("--"):
        name, equals, value = argument.partition("=")
        yield name, value if equals else None
        return
    letters = argument.removeprefix("-") if argument.startswith("-") else ""
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _SHORT_WITH_VALUE and letters:
            yield f"-{letter}", letters
            return
        yield f"-{letter}", None
        if letter not in _SHORT_FLAGS:
            return

"""The work of agents in the samples of each language, and the commands that build and test it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tests.support.scripted_api import Request

INSTRUCTION = "Write numbers as words in docstrings."
SUBTRACT, MULTIPLY, DIVIDE = "Subtract numbers", "Multiply numbers", "Divide numbers"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The calculator in one language: the work of agents, and the commands that build and test it."""

    language: str
    source: str
    add: str
    division: str
    commits: str = "git add -A && git commit -qm subtract"
    tested: str

    def function(self, name: str, expression: str) -> str:
        return f"\n\ndef {name}(a: float, b: float) -> float:\n    return {expression}\n"

    def test(self, name: str, expected: int, module: str = "calculator") -> tuple[str, str]:
        """The path of a test, and its content."""
        call = f"assert {name}(6, 3) == {expected}"
        return (
            f"tests/test_{name}.py",
            f"from {module} import {name}\n\n\ndef test_{name}() -> None:\n    {call}\n",
        )

    def divide(self, expression: str) -> str:
        """The content of a separate file."""
        return self.function("divide", expression)

    def test_divide(self) -> tuple[str, str]:
        return self.test("divide", 2, "calculator.division")


class GoSample(Sample):
    def function(self, name: str, expression: str) -> str:
        # On one line: with several lines, git would treat the last one as common to both functions.
        return f"\nfunc {name.title()}(a, b int) int {{ return {expression} }}\n"

    def test(self, name: str, expected: int, _module: str = "") -> tuple[str, str]:
        body = f"if {name.title()}(6, 3) != {expected} {{\n\t\tt.Fail()\n\t}}"
        content = f'import "testing"\n\nfunc Test{name.title()}(t *testing.T) {{\n\t{body}\n}}\n'
        return f"internal/arithmetic/{name}_test.go", f"package arithmetic\n\n{content}"

    def divide(self, expression: str) -> str:
        return f"package arithmetic\n{self.function('divide', expression)}"


PYTHON = Sample(
    language="python",
    source="calculator/__init__.py",
    add='def add(a: float, b: float) -> float:\n    """The sum."""\n    return a + b\n',
    division="calculator/division.py",
    tested="python3 -m pytest -q -p no:cacheprovider",
)
GO = GoSample(
    language="go",
    source="internal/arithmetic/arithmetic.go",
    add="// Add is the sum.\nfunc Add(a, b int) int {\n\treturn a + b\n}\n",
    division="internal/arithmetic/division.go",
    # Not only the change, but also a built program.
    commits="mkdir bin && cp /bin/true bin/calculator && git add -A && git commit -qm subtract",
    tested='export GOCACHE=$HOME/cache && mkdir $GOCACHE && cp -R -s "$COBBLER_GOCACHE/." $GOCACHE && '
    "go build -o /dev/null ./... && go vet ./... && go test ./...",
)


def worktree(request: Request) -> str:
    """The agent's directory, as claude reports it to the model."""
    match = re.search(
        r"working directory: (/\S+)", json.dumps(request.body).replace("\\n", "\n"), re.IGNORECASE
    )
    assert match is not None
    return match[1]

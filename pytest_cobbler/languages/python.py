"""Python: compiled by compileall, tested by pytest."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import PurePosixPath

from pytest_cobbler.languages.base import TESTED_COPY, NamedSources, Step
from pytest_cobbler.languages.functions import TestFunction, python_functions
from pytest_cobbler.languages.planted import PlantedTest, python_planted
from pytest_cobbler.languages.python_projects import Projects
from pytest_cobbler.languages.python_tree import NAME, STATUS

# python3 first: `python` is missing on Debian and is Python 2 on older systems.
_FIND_PYTHON = """\
python=$(command -v python3 || command -v python) || {
  echo "python3 is not installed where the gate runs: choose another gate_image or set build_command" >&2
  exit 127
}
"""

# -I: a module of the tree must not replace a module of the standard library that has the same name.
# The bytecode is written elsewhere: the tree may be read-only, and must not change. The directory is set
# after the imports, which otherwise would not find the bytecode of the standard library.
_COMPILE = """\
import compileall, sys
sys.pycache_prefix = sys.argv.pop(1)
sys.exit(not compileall.main())
"""
_BUILD = (
    _FIND_PYTHON
    + f"""\
cache=$(mktemp -d) || exit 1
trap 'rm -rf "$cache"' EXIT
"$python" -I -c '{_COMPILE}' "$cache" -q -x '/(\\.[^/]*|node_modules|site-packages)/' .
"""
)

REPORT = "cobbler-report.xml"
"""The file in the job's HOME with the results of the tests."""

# xunit1 names the file of a test. The options come last, so they take precedence over the project's own.
# Without the last two, no test runs if one file cannot be imported, and with the project's own `-x` none that
# comes after a failed one. With `red_base: allow`, such a base fails with every change in the same way.
_REPORT = (
    f'--junitxml="${{COBBLER_REPORT:-$HOME/{REPORT}}}" -o junit_family=xunit1 -o junit_logging=no'
    " --continue-on-collection-errors --maxfail=0"
)

# No bytecode: its time stamp has whole seconds, so it could be used for the next tree in the same directory.
_TEST = (
    _FIND_PYTHON
    + """\
{program}
PYTHONDONTWRITEBYTECODE=1 "$python" -c "$program" run "$place" {facts} {report}
status=$?
case $status in
  85)
    echo "tests: none yet"
    exit 0
    ;;
  80 | 81 | 82 | 83 | 84) exit "$((status - 80))" ;;
  0 | 5)
    echo "the tests did not run to their end: the project or a test ended the process of pytest" >&2
    exit 1
    ;;
esac
exit "$status"
"""
)

# Not run from a file: what the build step has left running could write to it.
_PROGRAM = """\
place=$HOME/.cobbler-gate
program={text}
mkdir -p "$place" 7>&-
printf '%s\\n' "$program" >"$place/{name}.py\""""

_PRINT_NOTES = 'cat "$HOME/.cobbler-gate/notes" 2>/dev/null'

_PRINT_INSTALLED = (
    _FIND_PYTHON
    + """\
{program}
exec "$python" -c "$program" installed "$place" {facts}
"""
)

# `python -m pytest` looks into the current directory first, even for its plugins.
_LISTS_MODULES = (
    _FIND_PYTHON
    + """\
exec "$python" -c '
import importlib.metadata
found = importlib.metadata.entry_points()
plugins = found.select(group="pytest11") if hasattr(found, "select") else found.get("pytest11", ())
print("{name}", *{plugin.value.partition(":")[0].partition(".")[0] for plugin in plugins}, sep="\\n")
'
"""
)


@dataclass(frozen=True, kw_only=True)
class Python(NamedSources):
    """``projects`` are those of the base. ``accepts_copies``: the gate may test installed copies of them."""

    projects: Projects = field(default_factory=Projects)
    accepts_copies: bool = False

    name = "python"
    lists_modules = ("sh", "-c", _LISTS_MODULES.replace("{name}", NAME))
    source_patterns = ("*.py", "*.pyi")
    module_files = ("pyproject.toml", "setup.py", "setup.cfg")

    def is_test(self, path: PurePosixPath) -> bool:
        if not self.is_source(path):
            return False
        named = path.name == "conftest.py" or path.match("test_*.py") or path.match("*_test.py")
        return named or not {"test", "tests"}.isdisjoint(path.parts[:-1])

    def functions(self, path: PurePosixPath, content: bytes) -> tuple[TestFunction, ...]:
        return python_functions(content) if path.suffix == ".py" else ()

    def holds_tests(self, path: PurePosixPath, content: bytes) -> bool:
        # pytest's own rule for names, if no configuration changes it.
        if not (path.match("test_*.py") or path.match("*_test.py")):
            return False
        found = self.functions(path, content)
        return any(function.name.rpartition("::")[2].startswith("test") for function in found)

    def planted(
        self, path: str, content: bytes, functions: Collection[str], token: str, inside: bool = False
    ) -> PlantedTest | None:
        return python_planted(path, content, functions, token, inside)

    def default_build(self) -> Step:
        return Step(name="build", argv=("sh", "-c", _BUILD), shown="python3 -m compileall -q .")

    def default_test(self) -> Step:
        return Step(
            name="test",
            argv=("sh", "-c", self._filled(_TEST)),
            shown="python3 -m pytest",
            reasons=((STATUS, TESTED_COPY),),
            notes=("sh", "-c", _PRINT_NOTES) if self.accepts_copies else (),
            report=f"~/{REPORT}",
            holds_report=True,
        )

    def notes_on_commands(self) -> tuple[str, ...]:
        return () if self.accepts_copies else ("sh", "-c", self._filled(_PRINT_INSTALLED))

    def _filled(self, script: str) -> str:
        """``script`` with the program that runs in the image, and the facts that it needs of the base."""
        facts = json.dumps({**asdict(self.projects), "accept": self.accepts_copies})
        texts = {"name": NAME, "facts": shlex.quote(facts), "program": _program(), "report": _REPORT}
        return re.sub(r"\{(name|facts|program|report)\}", lambda found: texts[found[1]], script)


def _program() -> str:
    """The shell commands that write the program that runs in the image: one file, of two modules."""
    directory = resources.files("pytest_cobbler.languages")
    names = directory.joinpath("python_modules.py").read_text("utf-8")
    text = directory.joinpath("python_tree.py").read_text("utf-8")
    text = re.sub(
        r"^from pytest_cobbler\.languages\.python_modules import (?:\([^)]*\)|.*)$",
        lambda _: names.replace("from __future__ import annotations\n", ""),
        text,
        flags=re.MULTILINE,
    )
    return _PROGRAM.replace("{name}", NAME).replace("{text}", shlex.quote(text))

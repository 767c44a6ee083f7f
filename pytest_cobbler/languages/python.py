"""Python: compiled by compileall, tested by pytest."""

from __future__ import annotations

from pathlib import PurePosixPath

from pytest_cobbler.languages.base import NamedSources, Step

# python3 first: `python` is missing on Debian and is Python 2 on older systems.
_FIND_PYTHON = """\
python=$(command -v python3 || command -v python) || {
  echo "python3 is not installed where the gate runs: choose another gate_image or set build_command" >&2
  exit 127
}
"""

# -I: a module of the tree must not replace a module of the standard library that has the same name.
# The bytecode is written elsewhere: the tree may be read-only, and must not change.
_BUILD = (
    _FIND_PYTHON
    + """\
cache=$(mktemp -d) || exit 1
trap 'rm -rf "$cache"' EXIT
"$python" -I -X pycache_prefix="$cache" -m compileall -q -x '/(\\.[^/]*|node_modules|site-packages)/' .
"""
)

# No bytecode: its time stamp has whole seconds, so it could be used for the next tree in the same directory.
_TEST = (
    _FIND_PYTHON
    + """\
"$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("pytest") is None)' || {
  echo "pytest is not installed where the gate runs: add it to the image or set test_command" >&2
  exit 127
}
PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest
status=$?
if [ "$status" -eq 5 ]; then
  echo "tests: none yet"
  exit 0
fi
exit "$status"
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
print(*{plugin.value.partition(":")[0].partition(".")[0] for plugin in plugins}, sep="\\n")
'
"""
)


class Python(NamedSources):
    name = "python"
    lists_modules = ("sh", "-c", _LISTS_MODULES)
    source_patterns = ("*.py", "*.pyi")
    module_files = ("pyproject.toml", "setup.py", "setup.cfg")

    def is_test(self, path: PurePosixPath) -> bool:
        if not self.is_source(path):
            return False
        named = path.name == "conftest.py" or path.match("test_*.py") or path.match("*_test.py")
        return named or not {"test", "tests"}.isdisjoint(path.parts[:-1])

    def default_build(self) -> Step:
        return Step(name="build", argv=("sh", "-c", _BUILD), shown="python -m compileall -q .")

    def default_test(self) -> Step:
        return Step(name="test", argv=("sh", "-c", _TEST), shown="python -m pytest")

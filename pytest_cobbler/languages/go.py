"""Go: built by ``go build``, tested by ``go test``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_cobbler.languages.base import TESTED_COPY, NamedSources, Step
from pytest_cobbler.languages.functions import TestFunction, go_functions
from pytest_cobbler.languages.go_mod import check_go_mod
from pytest_cobbler.languages.planted import PlantedTest, go_planted

LANGUAGE_VERSION = "1.24"
"""In a new ``go.mod``. A module without a version has the language of Go 1.16."""

# GOFLAGS is left to the image and the configuration. Without it go uses vendor/ if there is one, and never
# changes go.mod, so that a gate that passes here passes on every machine.
#
# Both steps share one cache; another gate has another one, as it would run whatever this gate left behind.
# The cache of the image is linked, not copied, because it may be large; a container cannot write through the
# links. Its variable is not GOCACHE: agents have that one, too, and go fails in a cache that is read-only.
_PREPARE = """\
PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || {
  echo "go is not installed where the gate runs: choose another gate_image or set build_command" >&2
  exit 127
}
cache=$HOME/go-build
if [ ! -d "$cache" ]; then
  mkdir -p "$cache"
  if [ -d "${COBBLER_GOCACHE:-}" ]; then cp -R -s "$COBBLER_GOCACHE/." "$cache/"; fi
fi
workspace=off
if [ -f go.work ]; then workspace=$PWD/go.work; fi
export PATH GOCACHE="$cache" GOENV=off GOTOOLCHAIN=local GOWORK="$workspace"
"""

_OFFLINE = "export GOPROXY=off\n"

# Every package, also broken ones, except those in magefiles_dir: they are tools and not generated code.
# The shell would split other names into several, and leave their packages out. `go build ./...` refuses them.
_PACKAGES = """\
packages=
if [ -f go.mod ]; then
  module=$(go list -m) && all=$(go list -e -f '{{{{printf "%q" .ImportPath}}}}' ./...) || exit
  case $all in *[!A-Za-z0-9._~+/'"
'-]*)
    echo "the name of a directory cannot be in an import path:"
    printf '%s\n' "$all" | grep '[^A-Za-z0-9._~+/"-]'
    exit 1
    ;;
  esac
  for package in $(printf '%s\n' "$all" | tr -d '"'); do
    case $package in "$module"/{kept} | "$module"/{kept}/*) ;; *) packages="$packages $package" ;; esac
  done
elif [ -n "$(find . -name '[!._]*.go' ! -path './{kept_glob}/*' ! -path '*/[._]*/*' | head -n 1)" ]; then
  echo "there are Go files, but no go.mod in the top directory of the repository" >&2
  exit 1
fi
"""

# A package of tests alone is left out: `go build` accepts it as a part of ./..., and not by its name.
_BUILD = """\
built=
if [ -n "$packages" ]; then
  built=$(go list -e -f '{sources}' $packages) || exit
fi
if [ -z "$built" ]; then
  echo "build: no packages yet"
  exit 0
fi
go build -o /dev/null $built || exit
"""
_SOURCES = (
    "{{if or .GoFiles .CgoFiles .InvalidGoFiles (not (or .TestGoFiles .XTestGoFiles))}}{{.ImportPath}}{{end}}"
)

_BUILD_MAIN = """\
if [ -n "$(find {main} -maxdepth 1 -name '*.go' 2>/dev/null | head -n 1)" ]; then
  go build -o {binary} {main}
else
  echo "build: no {shown} yet"
fi
"""

REPORT = "cobbler-report.json"
"""The file in the job's HOME with the events of the tests."""

# The pipe keeps go's exit status, and shows the events while the tests run. `go test` makes those checks of
# `go vet` that are nearly never wrong. With all of them, real projects would fail as they are.
_TEST = """\
report=$HOME/{report}
echo '{}' >"$report"
if [ -z "$packages" ]; then
  echo "tests: none yet"
  exit 0
fi
tested=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' $packages) || exit
if [ -z "$tested" ]; then
  echo "tests: none yet"
  exit 0
fi
{check}{hidden}mkfifo "$HOME/cobbler-events" || exit
tee -a "$report" <"$HOME/cobbler-events" &
"$hidden" test -count=1 -json $packages >"$HOME/cobbler-events"
status=$?
wait
exit "$status"
"""

# Tests could write to the memory of the process that counts them, unless its user cannot read its program.
_HIDDEN = """\
hidden=$HOME/cobbler-go/go
GOROOT=$(go env GOROOT)
export GOROOT
{ mkdir -p "$HOME/cobbler-go" && cat "$GOROOT/bin/go" >"$hidden" && chmod 0111 "$hidden" &&
  "$hidden" version >/dev/null; } 2>/dev/null || hidden=go
"""

# A go.mod may rename the module of the tree, and take the old one from elsewhere: by `replace` or a version.
# Elsewhere may also be another directory of the tree.
_CHECK = """\
copy=$(go list -deps -test -f '{{if .Module}}{{.Module.Path}} {{.Module.Dir}}{{end}}' $packages |
  while read -r path directory; do
    if [ "$path" = {module} ] && [ "$directory" != "$PWD" ]; then
      printf '%s\\n' "$directory"
      break
    fi
  done)
if [ -n "$copy" ]; then
  echo "the module "{module}" was taken from $copy, not from the top of the tree"
  exit {status}
fi
"""
_STATUS = 94

MAGEFILES = PurePosixPath("magefiles")
_MODULE = re.compile(r'^module[ \t]*(?:\([^)]*\)|"[^"\n]*"|`[^`\n]*`|[^\s(/]\S*)', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Go(NamedSources):
    """``main`` is the directory of the program that the gate builds to ``binary``; ``kept`` is magefiles_dir.

    ``offline``: the gate has no network, and go must not try to use one. ``module`` is the project's: the
    gate fails if it tests that module from outside the tree.
    """

    main: PurePosixPath | None = None
    binary: PurePosixPath | None = None
    kept: PurePosixPath = MAGEFILES
    offline: bool = True
    module: str = ""

    name = "go"
    source_patterns = ("*.go",)
    module_files = ("go.mod",)
    resets_sources = True

    def is_source(self, path: PurePosixPath) -> bool:
        others = "vendor" in path.parts[:-1] or path.is_relative_to(self.kept)
        return super().is_source(path) and not others

    def is_test(self, path: PurePosixPath) -> bool:
        return self.is_source(path) and path.name.endswith("_test.go")

    def functions(self, path: PurePosixPath, content: bytes) -> tuple[TestFunction, ...]:
        return go_functions(content) if self.is_test(path) else ()

    def holds_tests(self, path: PurePosixPath, content: bytes) -> bool:
        # What `go test ./...` leaves out: hidden directories, testdata, and modules of their own.
        if any(part.startswith((".", "_")) or part == "testdata" for part in path.parts):
            return False
        found = self.functions(path, content)
        return any(function.name and not function.name.startswith("Benchmark") for function in found)

    def planted(
        self, path: str, content: bytes, functions: Collection[str], token: str, inside: bool = False
    ) -> PlantedTest | None:
        return go_planted(path, content, functions, token, inside)

    def default_build(self) -> Step:
        script, shown = _BUILD.replace("{sources}", _SOURCES), "go build ./..."
        if self.main and self.binary:
            main, binary = shlex.quote(f"./{self.main}"), shlex.quote(str(self.binary))
            script += _BUILD_MAIN.format(main=main, binary=binary, shown=_plain(self.main))
            shown += f"; go build -o {binary} {main}"
        return Step(name="build", argv=("sh", "-c", self._prepare() + script), shown=shown)

    def default_test(self) -> Step:
        check = ""
        if self.module:
            check = _CHECK.replace("{module}", shlex.quote(self.module)).replace("{status}", str(_STATUS))
        return Step(
            name="test",
            argv=(
                "sh",
                "-c",
                self._prepare()
                + _TEST.replace("{report}", REPORT).replace("{check}", check).replace("{hidden}", _HIDDEN),
            ),
            shown="go test ./...",
            report=f"~/{REPORT}",
            prints_events=True,
            reasons=((_STATUS, TESTED_COPY),),
        )

    def _prepare(self) -> str:
        kept = str(self.kept)
        packages = _PACKAGES.format(kept=shlex.quote(kept), kept_glob=_plain(self.kept))
        return _PREPARE + (_OFFLINE if self.offline else "") + packages

    def module_file(self, content: bytes | None, module_path: str) -> tuple[str, bytes]:
        """``go.mod`` with the name of the module; its requirements stay, as do ``go.sum`` and ``vendor/``.

        So the versions are those of the image or ``vendor/``, and no network is needed.

        Raises:
            UsageProblem: ``go.mod`` cannot be read.
        """
        name = f"module {module_path}"
        if content is None:
            return "go.mod", f"{name}\n\ngo {LANGUAGE_VERSION}\n".encode()
        check_go_mod(content)
        text = content.decode("utf-8", "surrogateescape")
        renamed, lines = _MODULE.subn(lambda _: name, text, count=1)
        text = renamed if lines else f"{name}\n\n{text}"
        return "go.mod", text.encode("utf-8", "surrogateescape")


def _plain(path: PurePosixPath) -> str:
    """A path for a message or pattern of a script, without characters that are special to the shell."""
    return re.sub(r"[^\w./ -]", "?", str(path))

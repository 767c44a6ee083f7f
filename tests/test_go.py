"""Go: what its sources are, its module file, and its default gate, run as the gate runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.languages import Go, LineCount, Step, detect, get
from pytest_cobbler.languages.go_constraints import is_built
from tests.support.parts import need
from tests.support.toolchain import go_cache, go_root

pytestmark = pytest.mark.slow

__all__ = ["go_cache", "go_root"]

GO = Go()
PROGRAM = Go(main=PurePosixPath("cmd/calc"), binary=PurePosixPath("bin/calc"))
MODULE = "module example.com/calc\n\ngo 1.24\n"
SUM = "package calc\n\nfunc Sum(a, b int) int { return a + b }\n"


# What it knows of files


@pytest.mark.parametrize("tracked", [["go.mod"], ["go.mod", "pyproject.toml"], ["a.py", "go.mod"]])
def test_a_go_module_is_go(tracked: list[str]) -> None:
    assert detect(tracked).name == "go"
    assert detect(["deep/go.mod"]).name == "none"


@pytest.mark.parametrize(
    ("path", "source", "test"),
    [
        ("a.go", True, False),
        ("pkg/a_test.go", True, True),
        ("test/a.go", True, False),
        ("vendor/x/a.go", False, False),
        ("pkg/vendor/a_test.go", False, False),
        ("pkg/vendor.go", True, False),
        ("magefiles/build.go", False, False),
        ("pkg/magefiles/build.go", True, False),
        ("go.mod", False, False),
    ],
)
def test_go_source_and_test_files_are_recognized(path: str, source: bool, test: bool) -> None:
    assert (GO.is_source(PurePosixPath(path)), GO.is_test(PurePosixPath(path))) == (source, test)


def test_lines_are_counted_by_kind() -> None:
    files = {"a.go": b"1\n2\n", "a_test.go": b"1\n", "vendor/x/x.go": b"1\n", "magefiles/m.go": b"1\n"}
    counted = GO.count((PurePosixPath(path), content) for path, content in files.items())
    assert counted == LineCount(production=2, test=1)


# The module file


def test_a_new_module_file_has_a_name_and_a_version() -> None:
    assert GO.module_file(None, "example.com/calc") == ("go.mod", MODULE.encode())


REQUIRES = "go 1.25\n\nrequire example.com/dep v1.2.3\n"


@pytest.mark.parametrize(
    "found",
    [
        f"module old\n\n{REQUIRES}",
        f'module "old" // kept\n\n{REQUIRES}',
        f"// Deprecated: kept\nmodule (\n\told\n)\n\n{REQUIRES}",
        REQUIRES,
    ],
)
def test_the_module_is_renamed_and_keeps_its_requirements(found: str) -> None:
    path, content = GO.module_file(found.encode(), "example.com/calc")
    assert path == "go.mod"
    assert content.decode().count("module example.com/calc") == 1
    assert content.endswith(REQUIRES.encode())
    assert b"old" not in content
    assert (b"kept" in content) == ("kept" in found)


READABLE: dict[str, str | bytes] = {
    "": "",
    "no module yet": "go 1.24\n",
    "blocks": "module a.b/c // its name\n\nrequire ( // x\n\n\tx.y/z v1.0.0 // indirect\n)\n",
    "a block for the name": "module (\n\ta.b/c\n)\n",
    "a quoted name": 'module "a.b/c"\n',
    "carriage returns": "module a.b/c\r\ngo 1.24\r\n",
    "brackets and arrows": "module a.b/c\nretract [v1.0.0, v1.1.0]\nreplace x.y/z => ../z\n",
    "a comment that is not UTF-8": b"// \xff\nmodule a.b/c\n",
}
UNREADABLE: dict[str, tuple[str | bytes, str]] = {
    "a byte order mark": (b"\xef\xbb\xbfmodule a.b/c\n", "line 1: it begins with a byte order mark"),
    "markers": ("<<<<<<< HEAD\nmodule a.b/c\n", "line 1: unknown directive: <<<<<<<"),
    "another language": ("hello world\n", "line 1: unknown directive: hello"),
    "two names": ("module a.b/c\nmodule d.e/f\n", "line 2: a second module"),
    "no name": ("module\n", "line 1: a module has one path"),
    "more than a name": ("module a.b/c d\n", "line 1: a module has one path"),
    "a block without its end": ("module a.b/c\nrequire (\n\tx.y/z v1.0.0\n", "line 2: the block has no end"),
    "an end without its block": ("module a.b/c\n)\n", "line 2: unknown directive: )"),
    "a parenthesis": ("module a.b/c\nrequire x.y/z v1.0.0 )\n", "line 2: a parenthesis is out of place"),
    "half a quotation": ('module "a.b/c\n', "line 1: a quoted word has no end"),
    "NUL": ("module a.b/c\n\0\n", "line 2: it holds control characters"),
    "a comment of C": ("/* c */\nmodule a.b/c\n", "line 1: unknown directive: /*"),
}


def as_bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def go_reads(content: bytes, directory: Path) -> bool:
    (directory / "go.mod").write_bytes(content)
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    command = (need("go"), "mod", "edit", "-json")
    return subprocess.run(command, cwd=directory, env=env, capture_output=True).returncode == 0


@pytest.mark.parametrize("name", READABLE)
def test_a_module_file_that_go_reads_is_read(name: str, tmp_path: Path) -> None:
    content = as_bytes(READABLE[name])
    assert go_reads(content, tmp_path)
    _, renamed = GO.module_file(content, "example.com/calc")
    assert go_reads(renamed, tmp_path)


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_module_file_that_go_does_not_read_is_refused(name: str, tmp_path: Path) -> None:
    content, why = UNREADABLE[name]
    assert not go_reads(as_bytes(content), tmp_path)
    with pytest.raises(UsageProblem) as caught:
        GO.module_file(as_bytes(content), "example.com/calc")
    assert caught.value.cause == f"go.mod cannot be read: {why}"


def test_a_directive_of_a_later_go_is_accepted() -> None:
    assert GO.module_file(b"module old\nnovelty x\n", "a.b/c") == ("go.mod", b"module a.b/c\nnovelty x\n")


# Its build constraints

NAMES = [
    *("a", "linux", "a_linux", "a_windows", "a_plan9_linux", "a_windows_amd64", "a_linux_amd64", "a_arm64"),
    *("a_linux_arm64", "windows_a", "windows", "a_unix", "a_linux.x", "_linux", "a_amd64_linux"),
]
CONSTRAINTS = [
    *(
        "linux",
        "windows",
        "!windows",
        "!linux",
        "unix && !darwin",
        "a || linux",
        "a && linux || windows",
        "!(a)",
    ),
    *(
        "!(a || linux)",
        "(windows || linux) && !a",
        "!a && !b || a && b",
        "go1.18",
        "!go1.18",
        "a || !(b && c)",
    ),
    *("windows || (a || (b || (linux)))", "!(!(a)&&linux)"),
]


def test_files_are_built_on_linux_as_go_says(tree: Path) -> None:
    files = {f"{name}_test.go": "package calc\n" for name in NAMES}
    files |= {f"x{n}_test.go": f"//go:build {said}\n\npackage calc\n" for n, said in enumerate(CONSTRAINTS)}
    files |= {
        "late_test.go": "package calc\n\n//go:build windows\n",
        "old_test.go": "// +build a\n\npackage calc\n",
    }
    write(tree, {"go.mod": MODULE.replace("1.24", "1.16"), **files})
    environment = {
        "GOCACHE": str(tree.parent / "cache"),
        "GOENV": "off",
        "CGO_ENABLED": "1",
        "GOTOOLCHAIN": "local",
    }
    listing = run(
        GO.default_build(), tree, script="go list -f '{{join .TestGoFiles \"\\n\"}}'", **environment
    ).stdout.split()
    built = {name for name, content in files.items() if is_built(f"calc/{name}", content.encode())}
    assert built - {"_linux_test.go"} == set(listing)  # go takes no file whose name begins with a line


@pytest.mark.parametrize(
    "text", ["", "(", "!", "a &&", "a b", "(" * 100_000, "1 " * 1000, "!" * 900 + "0", "a\0"]
)
def test_a_constraint_that_go_cannot_read_builds_nothing(text: str) -> None:
    assert is_built("a.go", f"//go:build {text}x y\n\npackage a\n".encode()) is False


# The default gate


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def check(expected: int) -> str:
    test = f'if Sum(1, 2) != {expected} {{ t.Fatal("wrong sum") }}'
    return f'package calc\n\nimport "testing"\n\nfunc TestSum(t *testing.T) {{ {test} }}\n'


PRINTS = 'package main\n\nimport "example.com/calc"\n\nfunc main() { println(calc.Sum(1, 2)) }\n'
MAIN = {"cmd/calc/main.go": PRINTS}


def write(tree: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)


def run(
    step: Step, tree: Path, *, script: str = "", path: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    home = tree.parent / "home"
    home.mkdir(exist_ok=True)
    go = "" if path else f":{need('go').parent}"
    return subprocess.run(
        ["/bin/sh", "-c", script or step.argv[2]],
        cwd=tree,
        env={"PATH": path or f"{os.environ['PATH']}{go}", "HOME": os.fspath(home), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


def gate(language: Go, tree: Path, cache: Path) -> tuple[list[int], str]:
    """The exit statuses of the steps, up to the first that is not 0, and what they said."""
    statuses, said = [], ""
    for step in language.gate():
        done = run(step, tree, COBBLER_GOCACHE=os.fspath(cache))
        statuses.append(done.returncode)
        said += done.stdout
        if done.returncode:
            break
    return statuses, said


BUILDS = {
    "settings and directives": {
        "go.mod": f"{MODULE}\ntoolchain go1.99.0\n\ntool example.com/calc/run\n",
        "go.env": "GOFLAGS=-toolexec=./run.sh\n",
        "sum.go": f"//go:generate ./run.sh\n{SUM}",
        "run/main.go": "package main\n\nfunc main() {}\n",
    },
    "programs of cgo": {
        f"{name}/a.go": f'package {name}\n\n// #cgo {line}\nimport "C"\n'
        for name, line in {
            "wrapper": "CFLAGS: -wrapper ../run.sh",
            "compiler": "CFLAGS: -B../",
            "plugin": "CFLAGS: -fplugin=../run.sh",
            "linker": "LDFLAGS: -fuse-ld=../run.sh",
            "library": "pkg-config: --libs `../run.sh`",
        }.items()
    },
}
"""What go might run of a tree while it builds and tests it."""


def test_a_directory_of_tests_alone_is_built_and_tested(tree: Path, go_cache: Path) -> None:
    alone = check(3).replace("package calc\n", 'package tests\n\nimport . "example.com/calc"\n', 1)
    write(tree, {"go.mod": MODULE, "sum.go": SUM, "tests/sum_test.go": alone})
    statuses, said = gate(GO, tree, go_cache)
    assert statuses == [0, 0], said
    assert "example.com/calc/tests" in said
    write(tree, {"tests/sum_test.go": alone.replace("!= 3", "!= 4")})
    assert gate(GO, tree, go_cache)[0] == [0, 1]
    write(tree, {"tests/sum.go": "package tests\n\nfunc (\n"})
    assert gate(GO, tree, go_cache)[0] == [1]


@pytest.mark.parametrize("name", BUILDS)
def test_nothing_of_the_tree_runs_before_the_tests(name: str, tree: Path, go_cache: Path) -> None:
    canary = tree.parent / "canary"
    script = f"#!/bin/sh\ntouch {canary}\n"
    write(
        tree,
        {"go.mod": MODULE, "sum.go": SUM, "sum_test.go": check(3), **BUILDS[name], "run.sh": script},
    )
    (tree / "run.sh").chmod(0o755)
    for step in GO.gate():
        run(step, tree, COBBLER_GOCACHE=str(go_cache))
    assert not canary.exists()
    if "go.env" in BUILDS[name]:  # the canary shows what runs
        run(GO.default_build(), tree, script="go generate ./...")
        assert canary.exists()


def test_the_gate_builds_then_tests() -> None:
    assert [(step.name, step.shown) for step in GO.gate()] == [
        ("build", "go build ./..."),
        ("test", "go test ./..."),
    ]
    assert PROGRAM.gate()[0].shown == "go build ./...; go build -o bin/calc ./cmd/calc"


@pytest.mark.parametrize(
    "files",
    [{}, {"go.mod": MODULE}, {"go.mod": MODULE, "README.md": "", "cmd/calc/README.md": ""}],
    ids=["empty", "module", "documents"],
)
def test_the_gate_passes_on_an_empty_project_and_reports_it(
    tree: Path, go_cache: Path, files: dict[str, str]
) -> None:
    write(tree, files)
    statuses, said = gate(PROGRAM, tree, go_cache)
    assert statuses == [0, 0]
    assert "build: no packages yet" in said
    assert said.endswith("tests: none yet\n")


def test_the_gate_passes_without_tests_and_program_and_reports_it(tree: Path, go_cache: Path) -> None:
    write(tree, {"go.mod": MODULE, "calc.go": SUM})
    statuses, said = gate(PROGRAM, tree, go_cache)
    assert (statuses, said) == ([0, 0], "build: no cmd/calc yet\ntests: none yet\n")


def test_the_program_is_built_into_its_directory(tree: Path, go_cache: Path) -> None:
    write(tree, {"go.mod": MODULE, "calc.go": SUM, "calc_test.go": check(3), **MAIN})
    statuses, said = gate(PROGRAM, tree, go_cache)
    assert statuses == [0, 0]
    assert r"ok  \texample.com/calc" in said  # in an event
    built = subprocess.run([tree / "bin" / "calc"], capture_output=True, text=True)
    assert built.stderr == "3\n"
    assert sorted(path.name for path in tree.iterdir()) == ["bin", "calc.go", "calc_test.go", "cmd", "go.mod"]


@pytest.mark.parametrize(
    ("files", "statuses", "said"),
    [
        ({"calc.go": SUM + "func Broken() int { }\n"}, [1], "missing return"),
        ({"calc.go": "packag calc\n"}, [1], "expected 'package'"),
        (
            {"calc.go": SUM, "cmd/calc/main.go": "package main\n\nfunc main() { nowhere() }\n"},
            [1],
            "undefined",
        ),
        ({"calc.go": SUM, "calc_test.go": check(4)}, [0, 1], "wrong sum"),
        ({"calc.go": SUM, "calc_test.go": 'package calc\n\nvar x int = ""\n'}, [0, 1], "cannot use"),
        (
            {
                "calc.go": SUM.replace("package calc\n", 'package calc\n\nimport "fmt"\n', 1)
                + 'func Show(n int) string { return fmt.Sprintf("%s", n) }\n',
                "calc_test.go": check(3),
            },
            [0, 1],
            "has arg n of wrong type int",
        ),
        ({"calc.go": 'package calc\n\nimport _ "example.com/dep"\n'}, [1], "no required module provides"),
        ({"go.mod": "modul x\n", "calc.go": SUM}, [1], "go.mod:1"),
    ],
    ids=["build", "syntax", "program", "test", "test-build", "vet", "dependency", "module"],
)
def test_a_fault_fails_the_gate_with_the_error(
    tree: Path, go_cache: Path, files: dict[str, str], statuses: list[int], said: str
) -> None:
    write(tree, {"go.mod": MODULE, **files})
    found, output = gate(PROGRAM, tree, go_cache)
    assert found == statuses
    assert said in output


HIDING = {
    "space": "zz example.com/calc",
    "newline": "zz\nexample.com/calc",
    "wildcard": "zz[a]",
}
"""Names of directories that a shell would take for several packages, or for another one."""


@pytest.mark.parametrize("name", HIDING)
def test_a_package_whose_name_the_shell_would_split_is_not_left_out(
    name: str, tree: Path, go_cache: Path
) -> None:
    broken = "package zz\n\nfunc Broken() int { }\n"
    write(tree, {"go.mod": MODULE, "calc.go": SUM, "calc_test.go": check(3), "zz/zz.go": "package zz\n"})
    write(tree, {"example.com/calc/zza/a.go": "package zza\n", "zza/a.go": "package zza\n"})
    assert gate(GO, tree, go_cache)[0] == [0, 0]
    write(tree, {f"{HIDING[name]}/a.go": broken})
    statuses, said = gate(GO, tree, go_cache)
    assert statuses == [1]
    assert "cannot be in an import path" in said
    assert "zz" in said.rpartition("import path")[2]


@pytest.mark.usefixtures("go_cache")
def test_no_other_toolchain_is_downloaded(tree: Path) -> None:
    write(tree, {"go.mod": MODULE.replace("1.24", "1.99"), "calc.go": SUM})
    done = run(GO.gate()[0], tree, GOTOOLCHAIN="auto")
    assert done.returncode == 1
    assert "go.mod requires go >= 1.99" in done.stdout
    assert "GOTOOLCHAIN=local" in done.stdout


def test_a_program_in_the_top_directory_is_not_built_into_the_tree(tree: Path, go_cache: Path) -> None:
    """Where a directory may have its name."""
    main = "package main\n\nfunc main() {}\n"
    write(tree, {"go.mod": MODULE, "main.go": main, "calc/README.md": ""})
    assert gate(GO, tree, go_cache) == ([0, 0], "tests: none yet\n")


def test_modules_of_the_image_are_used(tree: Path, go_cache: Path, tmp_path: Path) -> None:
    fetched = tmp_path / "modules" / "cache" / "download" / "example.com" / "dep" / "@v"
    fetched.mkdir(parents=True)
    (fetched / "v1.0.0.mod").write_text("module example.com/dep\n")
    (fetched / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    with zipfile.ZipFile(fetched / "v1.0.0.zip", "w") as archive:
        archive.writestr("example.com/dep@v1.0.0/dep.go", "package dep\n")
    write(
        tree,
        {
            "go.mod": f"{MODULE}\nrequire example.com/dep v1.0.0\n",
            "calc.go": 'package calc\n\nimport _ "example.com/dep"\n',
        },
    )
    image = {"GOMODCACHE": os.fspath(tmp_path / "modules"), "GOFLAGS": "-modcacherw", "GONOSUMDB": "*"}
    lacking = run(GO.gate()[0], tree, **image)
    assert (lacking.returncode, "missing go.sum entry" in lacking.stdout) == (1, True)

    made = run(GO.gate()[0], tree, script="go mod download -json all && go mod tidy", GOPROXY="off", **image)
    assert made.returncode == 0, made.stdout
    assert run(GO.gate()[0], tree, COBBLER_GOCACHE=os.fspath(go_cache), **image).returncode == 0


def test_go_files_without_a_module_fail_the_gate(tree: Path, go_cache: Path) -> None:
    write(tree, {"calc.go": SUM})
    statuses, said = gate(GO, tree, go_cache)
    assert (statuses, said) == (
        [1],
        "there are Go files, but no go.mod in the top directory of the repository\n",
    )


def test_vendored_packages_are_used_without_a_network(tree: Path, go_cache: Path) -> None:
    write(
        tree,
        {
            "go.mod": f"{MODULE}\nrequire example.com/dep v1.0.0\n",
            "calc.go": 'package calc\n\nimport _ "example.com/dep"\n',
            "vendor/modules.txt": "# example.com/dep v1.0.0\n## explicit\nexample.com/dep\n",
            "vendor/example.com/dep/dep.go": "package dep\n",
        },
    )
    assert gate(GO, tree, go_cache)[0] == [0, 0]
    (tree / "vendor" / "modules.txt").unlink()
    statuses, said = gate(GO, tree, go_cache)
    assert statuses == [1]
    assert "inconsistent vendoring" in said


def test_the_module_of_the_project_is_tested_from_the_tree_only(
    tree: Path, go_cache: Path, tmp_path: Path
) -> None:
    """Though go.mod may name any directory of the image, and vendor/ any package."""
    test = 'if calc.Sum(1, 2) != 3 { t.Fatal("wrong sum") }'
    imports = 'import (\n\t"testing"\n\t"example.com/calc"\n)\n'
    write(tmp_path / "copy", {"go.mod": MODULE, "calc.go": SUM})
    write(
        tree,
        {
            "go.mod": "module example.com/other\n\ngo 1.24\n\nrequire example.com/calc v1.0.0\n"
            f"replace example.com/calc => {tmp_path}/copy\n",
            "other.go": "package other\n",
            "calc_test.go": f"package other\n\n{imports}\nfunc TestSum(t *testing.T) {{ {test} }}\n",
        },
    )
    assert gate(GO, tree, go_cache)[0] == [0, 0]
    statuses, said = gate(Go(module="example.com/calc"), tree, go_cache)
    assert statuses == [0, 94]
    taken = "the module example.com/calc was taken from"
    assert said.endswith(f"{taken} {tmp_path}/copy, not from the top of the tree\n")

    shutil.rmtree(tree.parent / "home")  # each job has its own
    shutil.copytree(tmp_path / "copy", tree / "copy")
    write(tree, {"go.mod": (tree / "go.mod").read_text().replace(f"{tmp_path}/copy", "./copy")})
    statuses, said = gate(Go(module="example.com/calc"), tree, go_cache)
    assert statuses == [0, 94]
    assert said.endswith(f"{taken} {tree}/copy, not from the top of the tree\n")

    shutil.rmtree(tree.parent / "home")
    shutil.rmtree(tree / "copy")
    write(
        tree,
        {"go.mod": MODULE, "calc.go": SUM, "calc_test.go": check(3), "other.go": "package calc\n", **MAIN},
    )
    assert gate(Go(module="example.com/calc"), tree, go_cache)[0] == [0, 0]


def test_the_magefiles_are_not_part_of_the_gate(tree: Path, go_cache: Path) -> None:
    mage = 'package main\n\nimport _ "example.com/mage"\n'
    write(tree, {"magefiles/build.go": mage})
    assert gate(GO, tree, go_cache) == ([0, 0], "build: no packages yet\ntests: none yet\n")
    write(tree, {"go.mod": MODULE, "calc.go": SUM})
    assert gate(GO, tree, go_cache)[0] == [0, 0]
    assert gate(Go(kept=PurePosixPath("tools")), tree, go_cache)[0] == [1]


def test_the_cache_of_the_image_is_used_and_never_changed(tree: Path, go_cache: Path) -> None:
    before = sorted((path, path.stat().st_size) for path in go_cache.rglob("*"))
    write(tree, {"go.mod": MODULE, "calc.go": SUM + "func More() {}\n", "calc_test.go": check(3)})
    assert gate(GO, tree, go_cache)[0] == [0, 0]
    own = tree.parent / "home" / "go-build"
    assert sum(path.is_symlink() for path in own.rglob("*")) > 50
    assert any(path.is_file() and not path.is_symlink() for path in own.rglob("*-d"))
    assert sorted((path, path.stat().st_size) for path in go_cache.rglob("*")) == before


def test_a_missing_go_is_reported_with_the_image_to_change(tree: Path, tmp_path: Path) -> None:
    if Path("/usr/local/go/bin/go").exists():
        script = {step.name: step.argv[2].replace("/usr/local/go/bin", "/nowhere") for step in GO.gate()}
    else:
        script = {step.name: step.argv[2] for step in GO.gate()}
    for step in GO.gate():
        done = run(step, tree, script=script[step.name], path=os.fspath(tmp_path))
        assert done.returncode == 127
        assert done.stdout.startswith("go is not installed where the gate runs")


def test_the_steps_have_names() -> None:
    assert get("go").gate() == GO.gate()

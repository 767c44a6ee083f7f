"""What a change must not contain, looked at on objects."""

from __future__ import annotations

import base64
import gc
from collections.abc import Mapping

import pytest

from pytest_cobbler.display import shown_path
from pytest_cobbler.repository import checks as module
from pytest_cobbler.repository.changes import Change, read_change
from pytest_cobbler.repository.checks import Policy, Refusal, check_change
from pytest_cobbler.repository.path_table import built_in_patterns
from pytest_cobbler.repository.repository import Repository
from tests.support.repositories import Content, UserRepository, commit_files

SECRET = "sk-ant-api03-" + "AbC0123456789_-xyz" * 5


class Checks:
    """Holds a change of files to a policy."""

    def __init__(self, repository: Repository, base: str) -> None:
        self.repository = repository
        self.base = base

    def base_with(self, files: Mapping[str, Content | None], **modes: str) -> None:
        """Let the base have these files."""
        self.base = commit_files(self.repository, self.base, files, modes=modes)

    def of(
        self,
        files: Mapping[str, Content | None],
        policy: Policy | None = None,
        modes: Mapping[str, str] | None = None,
    ) -> tuple[Refusal, ...]:
        """Why a change that makes these files is refused."""
        commit = commit_files(self.repository, self.base, files, modes=modes)
        tree = self.repository.tree_of(commit)
        return check_change(self.repository.objects, self.base, tree, policy or Policy())[1]

    def refused(self, path: str, content: Content = "x\n", **more: object) -> bool:
        return [refusal.path for refusal in self.of({path: content}, **more)] == [path]  # type: ignore[arg-type]


@pytest.fixture
def check(user: UserRepository, repository: Repository) -> Checks:
    return Checks(repository, user.git("rev-parse", "HEAD"))


class TestReadChange:
    def test_a_change_lists_the_differing_paths(self, check: Checks) -> None:
        files = {"new": "x", "src/app.py": "y", "src/util.py": None, "README.md": "docs"}
        commit = commit_files(check.repository, check.base, files, modes={"README.md": "120000"})
        change = read_change(check.repository.objects, check.base, commit)
        assert [(entry.status, entry.shown, entry.old_mode, entry.new_mode) for entry in change.entries] == [
            ("T", "README.md", "100644", "120000"),
            ("A", "new", "000000", "100644"),
            ("M", "src/app.py", "100644", "100644"),
            ("D", "src/util.py", "100644", "000000"),
        ]
        assert change.paths == ("README.md", "new", "src/app.py", "src/util.py")

    def test_a_moved_file_is_two_entries_of_a_change(self, check: Checks) -> None:
        commit = commit_files(check.repository, check.base, {"src/util.py": None, "moved.py": "x = 1\n"})
        assert read_change(check.repository.objects, check.base, commit).paths == ("moved.py", "src/util.py")

    def test_an_empty_change_is_false(self, check: Checks) -> None:
        assert not read_change(check.repository.objects, check.base, check.base)
        assert not Change()

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (b"plain/file.py", "plain/file.py"),
            ("ü/日本".encode(), "ü/日本"),
            (b"a\nb\t\x1b[0m", r"a\nb\t\x1b[0m"),
            (b"\xff\xfe", r"\xff\xfe"),
            ("\u202egpj.exe".encode(), r"\u202egpj.exe"),
        ],
    )
    def test_paths_of_a_change_are_shown_in_printable_characters(self, path: bytes, expected: str) -> None:
        assert shown_path(path) == expected


PROTECTED_PATHS = [
    "conftest.py",
    "CONFTEST.PY",
    "pytest.ini",
    "tests/pytest.ini",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
    "x.dist-info/METADATA",
    "src/x.dist-info/entry_points.txt",
    "x.egg-info/PKG-INFO",
    "x.egg-link",
    "a/b/x.pth",
    "sitecustomize.py",
    "src/sitecustomize/__init__.py",
    "usercustomize.pyc",
    ".claude/settings.json",
    "sub/.claude/hooks/x.sh",
    ".mcp.json",
    "CLAUDE.md",
    "src/CLAUDE.md",
    "CLAUDE.local.md",
    ".gitattributes",
    "src/.gitattributes",
    ".gitmodules",
    ".lfsconfig",
    ".githooks/pre-commit",
    ".husky/pre-commit",
    "lefthook.yml",
    ".pre-commit-config.yaml",
    ".github/workflows/ci.yml",
    ".GitHub/workflows/ci.yml",
    ".github/workflows/new\nline.yml",
    ".gitlab-ci.yml",
    ".circleci/config.yml",
    ".woodpecker.yaml",
    "Jenkinsfile",
    ".beads/issues.jsonl",
    "configuration.yaml",
]
FREE_PATHS = [
    "tests/conftest.py",
    "src/conftest.py",
    "my_conftest.py",
    "github/workflows/ci.yml",
    "docs/configuration.yaml",
    "docs/claude.txt",
    ".gitignore",
    "tests/test_pytest.ini.py",
    "src/json.py",
    "tests/__init__.py",
    "test/test_x.py",
    "dist-info/x",
]


class TestProtectedPaths:
    def test_a_protected_path_is_refused(self, check: Checks) -> None:
        refusals = check.of(dict.fromkeys(PROTECTED_PATHS, "x\n"))
        assert sorted(refusal.path for refusal in refusals) == sorted(
            shown_path(path.encode()) for path in PROTECTED_PATHS
        )

    def test_an_unprotected_path_is_not_refused(self, check: Checks) -> None:
        assert check.of(dict.fromkeys(FREE_PATHS, "x\n")) == ()

    @pytest.mark.parametrize("path", [".github", "conftest.py", "x.dist-info", ".claude", "sitecustomize"])
    def test_a_link_at_a_protected_path_is_refused(self, check: Checks, path: str) -> None:
        assert check.refused(path, "src", modes={path: "120000"})

    def test_removing_a_protected_path_is_refused(self, check: Checks) -> None:
        check.base_with({".github/ci.yml": "x", "conftest.py": "x"})
        refusals = check.of({".github/ci.yml": None, "conftest.py": None})
        assert [refusal.path for refusal in refusals] == [".github/ci.yml", "conftest.py"]

    def test_an_allowed_protected_path_passes(self, check: Checks) -> None:
        policy = Policy(allowed=("conftest.py", ".github/workflows/*.yml", "json.py"))
        assert check.of({"conftest.py": "", ".github/workflows/ci.yml": "", "json.py": ""}, policy) == ()
        assert check.refused(".github/dependabot.yml", policy=policy)

    def test_the_users_protected_paths_are_refused(self, check: Checks) -> None:
        policy = Policy(protected=(*built_in_patterns(), "./secrets/", "docs/*.md", "a?.txt", "**/deep/**"))
        for path in ("secrets/x", "secrets", "docs/x.md", "ab.txt", "x/deep/y/z", "deep/y"):
            assert check.refused(path, policy=policy)
        for path in ("docs/x/y.md", "a/b.txt", "secrets.txt", "deeper"):
            assert check.of({path: ""}, policy) == ()

    def test_a_class_of_characters_protects_the_paths_that_it_matches(self, check: Checks) -> None:
        policy = Policy(protected=("tests/[ab].py",))
        assert check.refused("tests/a.py", policy=policy)
        assert check.refused("tests/B.py", policy=policy)
        assert check.of({"tests/c.py": ""}, policy) == ()

    @pytest.mark.parametrize(
        "path", ["json.py", "json/__init__.py", "json.pyc", "json.cpython-311-x86_64-linux-gnu.so", "re/x.py"]
    )
    def test_a_module_named_like_one_of_the_standard_library_is_refused(
        self, check: Checks, path: str
    ) -> None:
        assert check.refused(path)

    @pytest.mark.parametrize("path", ["json.txt", "json/data.json", "calendar", "src/json.py", "jsonx.py"])
    def test_a_file_that_does_not_replace_a_library_module_is_not_refused(
        self, check: Checks, path: str
    ) -> None:
        assert check.of({path: ""}) == ()

    def test_a_link_that_could_replace_a_library_package_is_refused(self, check: Checks) -> None:
        assert check.refused("json", "src", modes={"json": "120000"})


class TestModules:
    """Whatever Python prefers to a file that is there would keep the tests in that file from running."""

    @pytest.mark.parametrize(
        "path",
        [
            *("tests/test_a/__init__.py", "tests/test_a/__init__.so", "tests/test_a.so", "tests/test_a.pyd"),
            *("tests/test_a.cpython-313-x86_64-linux-gnu.so", "core/__init__.py"),
        ],
    )
    def test_what_takes_the_place_of_a_module_is_refused(self, check: Checks, path: str) -> None:
        check.base_with({"tests/test_a.py": "x", "core.py": "x"})
        name = "core.py" if path.startswith("core") else "tests/test_a.py"
        [refusal] = check.of({path: ""}, Policy(protected=()))
        assert str(refusal) == f"{path}: Python would import it in the place of {name}"
        assert check.of({path: ""}, Policy(protected=(), allowed=(path,))) == ()

    def test_a_link_in_the_place_of_a_module_is_refused(self, check: Checks) -> None:
        check.base_with({"tests/test_a.py": "x", "tests/other/__init__.py": ""})
        [refusal] = check.of({"tests/test_a": "other"}, modes={"tests/test_a": "120000"})
        assert refusal.path == "tests/test_a"

    @pytest.mark.parametrize(
        ("before", "change"),
        [
            ({}, {"tests.py": ""}),
            ({}, {"tests.so": ""}),
            ({"tests.py": "", "tests/__init__.py": ""}, {"tests/__init__.py": None}),
            ({"tests/__init__.py": ""}, {"tests.py": "", "tests/__init__.py": None}),
        ],
    )
    def test_what_takes_the_place_of_a_directory_of_tests_is_refused(
        self, check: Checks, before: dict[str, str], change: dict[str, str | None]
    ) -> None:
        check.base_with({"tests/unit/test_a.py": "x", **before})
        [refusal] = check.of(change, Policy(protected=()))
        why = "Python would import a module in the place of tests/, which has tests"
        assert refusal.reason == why
        assert refusal.path in change
        assert check.of(change, Policy(protected=(), allowed=tuple(change))) == ()

    def test_a_module_may_have_the_name_of_a_directory_without_tests_and_of_a_package(
        self, check: Checks
    ) -> None:
        check.base_with({"docs/conf.py": "x", "tests/__init__.py": "", "tests/test_a.py": "x"})
        assert check.of({"docs.py": "x", "tests.py": "", "tests/test_a/data.txt": ""}) == ()
        assert check.of({"tests/__init__.py": None}) == ()

    def test_a_module_may_become_a_package_and_have_namesakes(self, check: Checks) -> None:
        check.base_with({"core.py": "x", "both.py": "x", "both/__init__.py": ""})
        files = {
            "core.py": None,
            "core/__init__.py": "x",
            "both/__init__.py": "x",
            "new.py": "",
            "new/a.py": "",
        }
        assert check.of(files) == ()
        assert check.of({"tests/core/__init__.py": "", "core/data.txt": ""}) == ()


class TestPytestsTable:
    """Of pyproject.toml only pytest's own tables are protected."""

    BASE = '[project]\nname = "x"\n[tool.pytest.ini_options]\naddopts = "-q"\n'

    @pytest.mark.parametrize(
        "content",
        [
            BASE.replace("-q", "-p evil"),
            BASE + "pythonpath = ['evil']\n",
            "[project]\nname = 'x'\n",
            BASE + "[tool.pytest]\nplugins = ['evil']\n",
            BASE + "[tool.pytest-asyncio]\nmode = 1\n",
            "no toml at all",
            b"\xff",
            "a = " + "[" * 5000,
        ],
        ids=range(8),
    )
    def test_a_change_of_pytests_table_is_refused(self, check: Checks, content: Content) -> None:
        check.base_with({"pyproject.toml": self.BASE})
        gc.collect()  # else what other tests left may be finalized in the depth of a recursion
        assert check.refused("pyproject.toml", content)

    @pytest.mark.parametrize("path", ["pyproject.toml", "PyProject.TOML", "sub/pyproject.toml"])
    def test_a_new_pytest_table_is_refused(self, check: Checks, path: str) -> None:
        assert check.refused(path, self.BASE)
        assert check.of({path: "[project]\nname = 'x'\n"}) == ()

    def test_a_change_of_other_tables_is_not_refused(self, check: Checks) -> None:
        check.base_with({"pyproject.toml": self.BASE})
        other_words = "[tool]\npytest = { ini_options = { addopts = '-q' } }\n[tool.ruff]\nline-length = 1\n"
        assert check.of({"pyproject.toml": other_words}) == ()

    def test_removing_pytests_table_is_refused(self, check: Checks) -> None:
        check.base_with({"pyproject.toml": self.BASE})
        assert [refusal.path for refusal in check.of({"pyproject.toml": None})] == ["pyproject.toml"]

    def test_a_pyproject_that_becomes_a_link_is_refused(self, check: Checks) -> None:
        # The link's own text is valid TOML without any table.
        assert check.refused("pyproject.toml", "#evil", modes={"pyproject.toml": "120000"})

    def test_a_change_of_pytests_table_can_be_allowed(self, check: Checks) -> None:
        assert check.of({"pyproject.toml": self.BASE}, Policy(allowed=("pyproject.toml",))) == ()


class TestLinks:
    @pytest.mark.parametrize(
        ("path", "target"),
        [
            ("link", "/etc/passwd"),
            ("link", ".."),
            ("link", "../secret"),
            ("a/b/link", "../../../secret"),
            ("a/b/link", "../.././../secret"),
            ("link", "a/../../secret"),
            # What is in the middle may be a link itself, so that it leads out though the words do not.
            ("link", "a/b/.."),
            ("link", ".git/config"),
            ("a/link", "../.GIT/hooks"),
            ("link", "a/.git"),
            ("link", "//"),
        ],
    )
    def test_a_link_that_may_lead_out_is_refused(self, check: Checks, path: str, target: str) -> None:
        refusals = check.of({path: target}, modes={path: "120000"})
        assert [(refusal.path, target in refusal.reason) for refusal in refusals] == [(path, True)]

    @pytest.mark.parametrize(
        ("path", "target"),
        [
            ("link", "src/app.py"),
            ("a/link", "../src"),
            ("a/b/link", "../../src/."),
            ("link", "..a"),
            ("link", "."),
        ],
    )
    def test_a_link_within_the_repository_is_not_refused(self, check: Checks, path: str, target: str) -> None:
        assert check.of({path: target}, modes={path: "120000"}) == ()

    def test_an_unchanged_link_is_not_refused(self, check: Checks) -> None:
        check.base = commit_files(check.repository, check.base, {"link": "/etc"}, modes={"link": "120000"})
        assert check.of({"other": ""}) == ()
        assert check.of({"link": None}) == ()

    def test_the_target_of_a_link_is_shown_in_printable_characters(self, check: Checks) -> None:
        refusal = check.of({"link": b"/\x1b[2J\xff\n"}, modes={"link": "120000"})[0]
        assert refusal.reason == r"a link out of the repository, to /\x1b[2J\xff\n"


class TestSubmodules:
    def test_a_new_submodule_is_refused(self, check: Checks) -> None:
        refusals = check.of({"sub": "1" * 40}, modes={"sub": "160000"})
        assert [(refusal.path, refusal.reason) for refusal in refusals] == [
            ("sub", "a nested repository (submodule)")
        ]

    def test_another_commit_of_a_submodule_is_refused(self, check: Checks) -> None:
        check.base = commit_files(check.repository, check.base, {"sub": "1" * 40}, modes={"sub": "160000"})
        assert check.refused("sub", "2" * 40, modes={"sub": "160000"})

    @pytest.mark.parametrize("content", [None, "a file"])
    def test_removing_a_submodule_is_refused(self, check: Checks, content: str | None) -> None:
        check.base = commit_files(check.repository, check.base, {"sub": "1" * 40}, modes={"sub": "160000"})
        assert [refusal.path for refusal in check.of({"sub": content})] == ["sub"]

    def test_an_unchanged_submodule_is_not_refused(self, check: Checks) -> None:
        check.base = commit_files(check.repository, check.base, {"sub": "1" * 40}, modes={"sub": "160000"})
        assert check.of({"other": ""}) == ()


class TestSizes:
    def test_a_large_file_is_refused_and_never_imported(self, check: Checks) -> None:
        refusals = check.of({"big": bytes(2 << 20), "small": ""}, Policy(largest_file=1 << 20))
        assert [(refusal.path, refusal.poisonous) for refusal in refusals] == [("big", True)]
        assert refusals[0].reason == "2 MiB; at most 1 MiB"

    def test_each_path_of_the_same_large_content_is_listed(self, check: Checks) -> None:
        same = bytes(2 << 20)
        refusals = check.of({"one": same, "two": same}, Policy(largest_file=1 << 20))
        assert [refusal.path for refusal in refusals] == ["one", "two"]

    def test_a_large_change_is_refused_and_never_imported(
        self, check: Checks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LARGEST_CHANGE", 1 << 20)
        refusals = check.of({str(number): bytes([number]) * (300 << 10) for number in range(4)})
        assert [(refusal.reason, refusal.poisonous) for refusal in refusals] == [
            ("1 MiB in all; at most 1 MiB", True)
        ]

    def test_many_files_are_refused_and_never_imported(
        self, check: Checks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MOST_FILES", 2)
        refusals = check.of({"1": "", "2": "", "3": ""})
        assert [(refusal.reason, refusal.poisonous) for refusal in refusals] == [
            ("changes more than 2 files", True)
        ]

    def test_a_long_path_is_refused(self, check: Checks) -> None:
        path = "d/" * 500 + "f"
        refusals = check.of({path: ""})
        assert [refusal.reason for refusal in refusals] == ["a path longer than 1000 bytes"]
        check.base_with({path: ""})
        assert check.of({path: None}) == (), "it may go"


class TestSecrets:
    POLICY = Policy(secrets=(SECRET, "short"))

    @pytest.mark.parametrize(
        "content",
        [
            SECRET,
            f"key = '{SECRET}'\n",
            b"\0\xff" + SECRET.encode() + b"\xff",
            base64.b64encode(SECRET.encode()),
            base64.encodebytes(SECRET.encode()),
            base64.encodebytes(SECRET.encode()).replace(b"\n", b"\r\n"),
            base64.urlsafe_b64encode(b"user:" + SECRET.encode()),
            base64.b64encode(f"1{SECRET}".encode()),
            base64.b64encode(f"12{SECRET} and more".encode()),
        ],
        ids=range(9),
    )
    def test_a_secret_in_a_file_is_refused_and_never_imported(self, check: Checks, content: Content) -> None:
        refusals = check.of({"a": "x", "leak": content, "z": "y"}, self.POLICY)
        assert [(refusal.path, refusal.poisonous) for refusal in refusals] == [("leak", True)]

    def test_a_secret_in_a_link_is_refused(self, check: Checks) -> None:
        refusals = check.of({"link": SECRET}, self.POLICY, modes={"link": "120000"})
        assert [refusal.path for refusal in refusals] == ["link"]

    def test_a_secret_in_a_name_is_refused_without_being_shown(self, check: Checks) -> None:
        refusals = check.of({f"docs/{SECRET}": ""}, self.POLICY)
        assert [refusal.poisonous for refusal in refusals] == [True]
        assert SECRET not in str(refusals[0])

    def test_short_secrets_are_not_searched(self, check: Checks) -> None:
        assert check.of({"file": "a short text"}, self.POLICY) == ()

    def test_removing_a_secret_is_not_refused(self, check: Checks) -> None:
        check.base_with({"leak": SECRET})
        assert check.of({"leak": "gone"}, self.POLICY) == ()

    @pytest.mark.slow
    def test_a_secret_is_found_in_any_of_many_files(self, check: Checks) -> None:
        files: dict[str, Content | None] = {f"{n:03}": b"%d" % n * 400 for n in range(300)}
        for place in ("000", "007", "299"):
            refusals = check.of(files | {place: f"\n{SECRET}\n"}, self.POLICY)
            assert [refusal.path for refusal in refusals] == [place]


class TestMarkers:
    ID = "0123456789012345678901234567890123456789"
    MARKED = f"a\n<<<<<<< {ID}\nb\n=======\nc\n>>>>>>> {ID}\nd\n"

    @pytest.mark.parametrize(
        "content",
        [
            MARKED,
            MARKED.replace("\n", "\r\n"),
            f"<<<<<<< {ID}\nb\n",
            f"b\n>>>>>>> {ID}",
            f"x\n||||||| {ID}\n",
        ],
        ids=range(5),
    )
    def test_conflict_markers_in_a_marked_file_are_refused(self, check: Checks, content: str) -> None:
        refusals = check.of({"file": content}, Policy(marked=("file",)))
        assert [(refusal.path, refusal.reason) for refusal in refusals] == [
            ("file", "still has conflict markers")
        ]

    def test_conflict_markers_in_another_file_are_not_refused(self, check: Checks) -> None:
        assert check.of({"file": self.MARKED}, Policy(marked=("other",))) == ()

    def test_a_marked_file_without_markers_is_not_refused(self, check: Checks) -> None:
        assert check.of({"file": "a\nb\nc\nd\n"}, Policy(marked=("file",))) == ()

    def test_an_underlined_heading_is_not_a_conflict_marker(self, check: Checks) -> None:
        text = "Heading\n=======\n\nText, a << b, >>>>>>>>>> 8\n"
        assert check.of({"file": text}, Policy(marked=("file",))) == ()

    def test_conflict_markers_at_the_end_of_a_long_file_are_refused(self, check: Checks) -> None:
        content = "x\n" * 3_000_000 + self.MARKED
        assert len(check.of({"file": content}, Policy(marked=("file",)))) == 1


def test_a_change_of_very_many_files_is_checked_in_a_moment(check: Checks) -> None:
    """One process for each of them would take a minute."""
    files: dict[str, Content | None] = {f"d{number // 100}/{number}.py": "" for number in range(2000)}
    git = check.repository.objects
    blob = git.text("hash-object", "-w", "--stdin")
    entries = "".join(f"100644 {blob}\t{path}\n" for path in files).encode()
    index = git.using(index=check.repository.work_dir / "many.index")
    index.run("update-index", "--index-info", stdin=entries)
    calls = []
    run = type(git).run

    def counted(self: object, *arguments: object, **more: object) -> object:
        calls.append(arguments[0])
        return run(self, *arguments, **more)  # type: ignore[arg-type]

    tree = index.text("write-tree")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(git), "run", counted)
        _, refusals = check_change(git, check.base, tree, Policy(secrets=(SECRET,)))
    assert refusals == ()
    assert len(calls) < 10


def test_a_refusal_reads_as_a_line() -> None:
    assert str(Refusal(reason="why", path="p")) == "p: why"
    assert str(Refusal(reason="why")) == "why"


class TestLargeFileStorage:
    POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

    @pytest.fixture(autouse=True)
    def attributes(self, check: Checks) -> None:
        check.base_with({"data/.gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})

    def test_content_in_the_place_of_an_lfs_pointer_is_refused(self, check: Checks) -> None:
        assert check.refused("data/ö model.bin", b"\0\1\2")
        assert check.of({"data/model.bin": "content"})[0].reason == "content where git-lfs keeps a pointer"

    def test_lfs_pointers_and_other_files_are_not_refused(self, check: Checks) -> None:
        assert not check.of({"data/model.bin": self.POINTER, "data/notes.txt": "x", "model.bin": "x"})

    def test_content_in_the_place_of_an_lfs_pointer_can_be_allowed(self, check: Checks) -> None:
        assert not check.of({"data/model.bin": "content"}, Policy(allowed=("data/*.bin",)))

    def test_a_file_of_lfs_may_be_deleted(self, check: Checks) -> None:
        check.base_with({"data/model.bin": self.POINTER})
        assert not check.of({"data/model.bin": None})


class TestReservedModules:
    """A module at the top that pytest would load in the place of one of its plugins."""

    POLICY = Policy(reserved=frozenset({"platformdirs", "calc"}))

    @pytest.mark.parametrize(
        "path", ["platformdirs.py", "platformdirs/__init__.py", "platformdirs/deep/x.py"]
    )
    def test_a_module_with_a_reserved_name_is_refused(self, check: Checks, path: str) -> None:
        (refusal,) = check.of({path: "import os; os._exit(0)"}, self.POLICY)
        assert str(refusal) == f"{path}: takes the place of platformdirs, which pytest loads"

    def test_a_reserved_name_below_the_top_is_not_refused(self, check: Checks) -> None:
        assert not check.of({"src/platformdirs.py": "x", "platformdirs.txt": "x"}, self.POLICY)

    def test_a_project_may_change_its_own_module_with_a_reserved_name(self, check: Checks) -> None:
        check.base_with({"calc/__init__.py": "", "calc/plugin.py": ""})
        assert not check.of({"calc/plugin.py": "x", "calc/more.py": "y"}, self.POLICY)


class TestBareRepositories:
    """git takes such a directory for a repository, and runs the programs that its configuration names."""

    FILES: Mapping[str, Content | None] = {
        "sub/HEAD": "ref: refs/heads/x\n",
        "sub/config": "[core]\n\tfsmonitor = touch /tmp/x\n",
        "sub/objects/keep": "",
        "sub/refs/keep": "",
    }
    REASON = "a git repository, whose settings git would follow"

    @pytest.mark.parametrize("top", ["sub", "a/b", ":(top)a"])
    def test_a_bare_repository_is_refused(self, check: Checks, top: str) -> None:
        files = {path.replace("sub", top, 1): content for path, content in self.FILES.items()}
        assert [(refusal.path, refusal.reason) for refusal in check.of(files)] == [(top, self.REASON)]

    @pytest.mark.parametrize("last", ["sub/HEAD", "sub/objects/keep", "sub/refs/keep"])
    def test_the_last_part_of_a_bare_repository_is_refused(self, check: Checks, last: str) -> None:
        check.base_with({path: content for path, content in self.FILES.items() if path != last})
        assert [refusal.path for refusal in check.of({last: ""})] == ["sub"]

    def test_parts_of_a_bare_repository_are_not_refused(self, check: Checks) -> None:
        for missing in ("sub/HEAD", "sub/objects/keep", "sub/refs/keep"):
            assert not check.of({path: content for path, content in self.FILES.items() if path != missing})

    def test_a_bare_repository_can_be_allowed(self, check: Checks) -> None:
        assert not check.of(self.FILES, Policy(allowed=("sub/",)))

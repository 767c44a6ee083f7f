"""Reports of gates: read, mapped to the files of a tree, and hostile ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_cobbler.landing import reports
from pytest_cobbler.landing.places import Places
from pytest_cobbler.landing.reports import ReportProblem, read_report
from pytest_cobbler.landing.tree_records import CaseResult, Counts, TestRun

GO_FILES = {
    "go.mod": b"module example.com/m\n\ngo 1.24\n",
    "root_test.go": b"package m\n\nfunc TestRoot(t *testing.T) {}\n",
    "m/m_test.go": b"package m\n\nfunc TestM(t *testing.T) {}\nfunc Test\xc3\x84(t *testing.T) {}\n",
    "nested/go.mod": b'module "example.com/m/nested"\n',
    "nested/sub/a_test.go": b"func TestA(t *testing.T) {}\nfunc ExampleA() {}\nfunc FuzzA(f *testing.F) {}\n",
    "both/one_test.go": b"func TestOne(t *testing.T) {}\n",
    "both/other_test.go": b"//go:build never\n\nfunc TestOne(t *testing.T) {}\nfunc TestOther() {}\n",
    "system/a_linux_test.go": b"func TestA(t *testing.T) {}\n",
    "system/a_windows_test.go": b"func TestA(t *testing.T) {}\n",
    "system/b_test.go": b"//go:build !windows\n\npackage m\n\nfunc TestB(t *testing.T) {}\n",
    "system/c_test.go": b"//go:build windows\n\npackage m\n\nfunc TestB(t *testing.T) {}\n",
    "a/testdata/go.mod": b"module example.com/m\n",
    "z/testdata/go.mod": b"module example.com/m\n",
    "b/testdata/go.mod": b"module example.com/m/system\n",
    "twice/a_test.go": b"func TestTwice(t *testing.T) {}\n",
    "twice/b_test.go": b"func TestTwice(t *testing.T) {}\n",
}


def places(*paths: str, **files: bytes) -> Places:
    return Places((*paths, *files), lambda path: files.get(path, b""))


def junit(*cases: str, around: str = "<testsuites><testsuite>{}</testsuite></testsuites>") -> bytes:
    return b"<?xml version='1.0' encoding='utf-8'?>" + around.format("".join(cases)).encode()


def one(content: bytes, *paths: str, **files: bytes) -> CaseResult:
    """The only result of a report."""
    (result,) = read_report(content, places(*paths, **files)).results
    return result


class TestPytest:
    @pytest.fixture(scope="class")
    @staticmethod
    def run(tmp_path_factory: pytest.TempPathFactory) -> TestRun:
        """The report of a real session."""
        tree = tmp_path_factory.mktemp("tree")
        for name, content in {
            "base.py": "class Base:\n    def test_inherited(self): pass\n",
            "tests/test_a.py": """
import pytest, unittest
from base import Base
class TestA(Base):
    class TestInner:
        @pytest.mark.parametrize("x", ["a::b", "c.d[e]"])
        def test_b(self, x): pass
    def test_fails(self): assert 0
class Unit(unittest.TestCase):
    def test_unit(self): pass
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.xfail
def test_xfails(): assert 0
@pytest.mark.xfail
def test_xpasses(): pass
@pytest.fixture
def broken(): yield; raise RuntimeError
def test_whose_teardown_fails(broken): pass
""",
            "tests/v1.2/test_dotted.py": "def test_d(): pass\n",
            "tests/test_broken.py": "import nothing_like_this\n",
            "doc.py": '"""\n>>> 1\n1\n"""\n',
            "README.txt": ">>> 2\n2\n",
        }.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(content)
        report = tree / "report.xml"
        words = [
            "-p",
            "no:cacheprovider",
            "--doctest-modules",
            "--doctest-glob=*.txt",
            f"--junitxml={report}",
        ]
        environment = {"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": "."}
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                *words,
                "-o",
                "junit_family=xunit1",
                "--continue-on-collection-errors",
            ],
            cwd=tree,
            env=environment,
            capture_output=True,
        )
        return read_report(report.read_bytes(), Places.below(tree))

    def test_ids_are_those_that_pytest_prints(self, run: TestRun) -> None:
        file = "tests/test_a.py"
        found = {result.id: (result.file, result.function) for result in run.results}
        assert found == {
            f"{file}::TestA::test_inherited": (file, "TestA::test_inherited"),
            f"{file}::TestA::TestInner::test_b[a::b]": (file, "TestA::TestInner::test_b"),
            f"{file}::TestA::TestInner::test_b[c.d[e]]": (file, "TestA::TestInner::test_b"),
            f"{file}::TestA::test_fails": (file, "TestA::test_fails"),
            f"{file}::Unit::test_unit": (file, "Unit::test_unit"),
            f"{file}::test_skipped": (file, "test_skipped"),
            f"{file}::test_xfails": (file, "test_xfails"),
            f"{file}::test_xpasses": (file, "test_xpasses"),
            f"{file}::test_whose_teardown_fails": (file, "test_whose_teardown_fails"),
            "tests/v1.2/test_dotted.py::test_d": ("tests/v1.2/test_dotted.py", "test_d"),
            "tests/test_broken.py": ("tests/test_broken.py", ""),
            "doc.py::doc": ("doc.py", "doc"),
            "README.txt::README.txt": ("README.txt", "README.txt"),
        }

    def test_outcomes_are_counted(self, run: TestRun) -> None:
        counts = {
            result.function: (result.passed, result.failed, result.skipped, result.xfailed)
            for result in run.results
        }
        assert counts["TestA::test_fails"] == (0, 1, 0, 0)
        assert counts["test_skipped"] == (0, 0, 1, 0)
        assert counts["test_xfails"] == (0, 0, 0, 1)
        assert counts["test_xpasses"] == (1, 0, 0, 0)
        assert counts["test_whose_teardown_fails"][1] == 1
        assert run.by_file["tests/test_broken.py"].failed == 1

    def test_a_root_directory_below_the_tree(self) -> None:
        case = '<testcase classname="tests.test_a.TestA" name="test_b[1]" file="tests/test_a.py"/>'
        result = one(junit(case), "lib/tests/test_a.py", "lib/tests/test_b.py")
        assert result == CaseResult(
            id="lib/tests/test_a.py::TestA::test_b[1]",
            file="lib/tests/test_a.py",
            function="TestA::test_b",
            passed=1,
        )

    @pytest.mark.parametrize(
        ("case", "identifier"),
        [
            ('classname="services.api.tests.test_a.TestA" name="test_b"', "tests/test_a.py::TestA::test_b"),
            ('classname="tests.test_a.TestA" name="test_b"', "tests/test_a.py::TestA::test_b"),
            ('classname="" name="services.api.tests.test_a"', "tests/test_a.py"),
            ('classname="a" name="b" file="services/api/tests/test_a.py"', "tests/test_a.py::b"),
            ('classname="a" name="b" file="/x/services/api/tests/test_a.py"', "tests/test_a.py::b"),
            ('classname="services.web.tests.test_a" name="b"', "services.web.tests.test_a::b"),
            ('classname="a" name="b" file="services/web/tests/test_a.py"', "a::b"),
        ],
    )
    def test_a_root_directory_above_the_project(self, case: str, identifier: str) -> None:
        found = Places(("tests/test_a.py",), lambda _path: b"", "services/api")
        [result] = read_report(junit(f"<testcase {case}/>"), found).results
        assert result.id == identifier
        assert bool(result.file) == identifier.startswith("tests/")

    def test_a_prefix_of_class_names(self) -> None:
        case = '<testcase classname="nightly.tests.test_a.TestA" name="test_b" file="tests/test_a.py"/>'
        assert one(junit(case), "tests/test_a.py").id == "tests/test_a.py::TestA::test_b"

    def test_two_files_that_fit_are_none(self) -> None:
        case = '<testcase classname="test_a" name="test_b" file="test_a.py"/>'
        result = one(junit(case), "x/test_a.py", "y/test_a.py")
        assert (result.id, result.file, result.function) == ("test_a::test_b", "", "")


class TestOtherRunners:
    def test_the_file_of_the_suite(self) -> None:
        content = junit(
            "<testcase name='adds' classname='sum'/>",
            around="<testsuite file='/builds/tree/spec/sum.js'><properties/>{}</testsuite>",
        )
        assert one(content, "spec/sum.js") == CaseResult(
            id="sum::adds", file="spec/sum.js", function="adds", passed=1
        )

    def test_a_class_name_below_a_source_directory(self) -> None:
        content = junit('<testcase classname="com.example.FooTest" name="bars"/>')
        assert one(content, "src/test/java/com/example/FooTest.java").file.endswith("FooTest.java")

    def test_a_go_package_as_class_name(self) -> None:
        content = junit('<testcase classname="example.com/m/m" name="TestM/sub"/>')
        result = one(content, **GO_FILES)
        assert (result.id, result.file, result.function) == (
            "example.com/m/m.TestM/sub",
            "m/m_test.go",
            "TestM",
        )

    @pytest.mark.parametrize(
        ("case", "counts"),
        [
            ("<testcase name='a'/>", Counts(passed=1)),
            ("<testcase name='a'><system-out>x</system-out></testcase>", Counts(passed=1)),
            ("<testcase name='a'><failure/></testcase>", Counts(failed=1)),
            ("<testcase name='a'><error/><skipped/></testcase>", Counts(failed=1)),
            ("<testcase name='a'><skipped/></testcase>", Counts(skipped=1)),
            ("<testcase name='a' status='notrun'/>", Counts(skipped=1)),
            ("<testcase name='a' result='suppressed'/>", Counts(skipped=1)),
            ("<testcase name='a'><properties><failure/></properties></testcase>", Counts(passed=1)),
            ("<testcase name='a'/><testcase name='a'><failure/></testcase>", Counts(passed=1, failed=1)),
        ],
    )
    def test_outcomes(self, case: str, counts: Counts) -> None:
        assert read_report(junit(case), places()).counts == counts

    def test_namespaces_and_nested_suites(self) -> None:
        content = (
            b"<j:testsuites xmlns:j='urn:x'><j:testsuite file='a.c'><j:testsuite><j:testcase name='t'>"
            b"<j:failure/></j:testcase></j:testsuite></j:testsuite></j:testsuites>"
        )
        assert one(content, "a.c") == CaseResult(id="t", file="a.c", function="t", failed=1)

    def test_no_test_at_all(self) -> None:
        assert read_report(b"<testsuites/>", places()) == TestRun()


class TestGo:
    @staticmethod
    def result(package: str, test: str, action: str = "pass") -> CaseResult:
        event = json.dumps({"Action": action, "Package": package, "Test": test, "Elapsed": 0.1})
        return one(event.encode(), **GO_FILES)

    @pytest.mark.parametrize(
        ("package", "test", "file", "function"),
        [
            ("example.com/m", "TestRoot", "root_test.go", "TestRoot"),
            ("example.com/m/m", "TestM/sub#01", "m/m_test.go", "TestM"),
            ("example.com/m/m", "TestÄ", "m/m_test.go", "TestÄ"),
            ("example.com/m/nested/sub", "ExampleA", "nested/sub/a_test.go", "ExampleA"),
            ("example.com/m/nested/sub", "FuzzA/seed#0", "nested/sub/a_test.go", "FuzzA"),
            ("example.com/m/both", "TestOne", "both/one_test.go", "TestOne"),
            ("example.com/m/both", "TestOther", "both/other_test.go", "TestOther"),
            ("example.com/m/system", "TestA", "system/a_linux_test.go", "TestA"),
            ("example.com/m/system", "TestB", "system/b_test.go", "TestB"),
            ("example.com/m/twice", "TestTwice", "", ""),
            ("example.org/other/m", "TestM", "", ""),
        ],
    )
    def test_files_and_functions(self, package: str, test: str, file: str, function: str) -> None:
        result = self.result(package, test)
        assert result == CaseResult(id=f"{package}.{test}", file=file, function=function, passed=1)

    def test_outcomes(self) -> None:
        assert self.result("p", "T", "fail").failed == 1
        assert self.result("p", "T", "skip").skipped == 1

    def test_events_of_a_whole_run(self) -> None:
        events = [
            {"Action": "start", "Package": "p"},
            {"Action": "run", "Package": "p", "Test": "T"},
            {
                "Action": "output",
                "Package": "p",
                "Test": "T",
                "Output": '{"Action":"pass","Test":"Forged"}\n',
            },
            {"Action": "fail", "Package": "p", "Test": "T"},
            {"Action": "fail", "Package": "p"},
            {"Action": "build-output", "ImportPath": "q", "Output": "# q\n"},
            {"Action": "fail", "Package": "q"},
            {"Action": "skip", "Package": "without tests"},
        ]
        lines = [json.dumps(event) for event in events]
        lines[2:2] = ["# p", "not JSON", "{", "{}", '{"Action":"pass","Package":1,"Test":"x"}', "[1]"]
        run = read_report("\n".join(lines).encode(), places())
        assert run.results == (CaseResult(id="p.T", failed=1), CaseResult(id="q", failed=1))


ENTITIES = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""
OUTSIDE = b"""<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite><testcase name="a"/></testsuite>"""


class TestHostile:
    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "empty"),
            (b" \n", "empty"),
            (b"\0\1\2", "not XML"),
            (b"<html/>", "not JUnit"),
            (b"<testsuite><testcase", "not XML"),
            (b"<testsuite>" * 10, "not XML"),
            (ENTITIES, "document type"),
            (ENTITIES.decode().encode("utf-16"), "document type"),
            (OUTSIDE, "document type"),
            (b"<?xml version='1.0' encoding='no-such'?><testsuite/>", "not XML"),
            (b"<testsuite><testcase name='\xff'/></testsuite>", "not XML"),
        ],
    )
    def test_what_cannot_be_read_is_a_problem(self, content: bytes, problem: str) -> None:
        with pytest.raises(ReportProblem, match=problem):
            read_report(content, places())

    def test_deep_nesting(self) -> None:
        depth = 100_000
        content = b"<testsuite>" * depth + b"<testcase name='a'/>" + b"</testsuite>" * depth
        assert one(content).id == "a"
        inside = b"<testsuite><testcase>" + b"<x>" * depth + b"</x>" * depth + b"</testcase></testsuite>"
        assert one(inside).passed == 1
        nested = b'{"Action":' + b"[" * depth
        assert read_report(nested, places()) == TestRun()

    def test_too_many_results(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reports, "MOST_RESULTS", 10)
        with pytest.raises(ReportProblem, match="more than 10"):
            read_report(junit("<testcase/>" * 11), places())

    def test_long_ids_stay_different(self) -> None:
        cases = [f"<testcase name='{'x' * 5000}{end}'/>" for end in "ab"]
        ids = [result.id for result in read_report(junit(*cases), places()).results]
        assert len(set(ids)) == 2
        assert max(map(len, ids)) < 2_100

    def test_half_a_character_in_json(self) -> None:
        result = one(rb'{"Action":"pass","Package":"p\ud800","Test":"t"}')
        result.id.encode()

    def test_a_path_that_is_not_text(self) -> None:
        case = '<testcase classname="test_a" name="test_b" file="test_a.py"/>'
        assert one(junit(case), "\udcff/test_a.py").file == ""


class TestCheckout:
    def test_links_and_special_files_are_not_read(self, tmp_path: Path) -> None:
        tree = tmp_path / "tree"
        tree.mkdir()
        (tmp_path / "secret").write_text("module example.com/m\n")
        (tree / "go.mod").symlink_to(tmp_path / "secret")
        os.mkfifo(tree / "a_test.go")
        (tree / "loop").symlink_to(tree)
        found = Places.below(tree).of_go("example.com/m", "TestA")
        assert found.file == ""

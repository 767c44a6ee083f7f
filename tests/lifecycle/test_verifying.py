"""A statement is compared with the commit and with the base's gate, and nothing in it is carried out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.landing.statements import LARGEST, envelope
from pytest_cobbler.lifecycle.verifying import Status, Verification, Verifier, chosen_commits
from pytest_cobbler.process import Cancellation
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from pytest_cobbler.wiring.hooks import NO_HOOKS
from pytest_cobbler.wiring.project import open_repository

pytestmark = pytest.mark.slow

GATE = """\
[ ! -e {outside} ] || exit 1
first='<testcase name="first"/>' second='<testcase name="second"><skipped/></testcase>'
echo "<testsuite>$first$second</testsuite>" >report.xml
"""

Document = dict[str, Any]


class Bench:
    """A project with one landed commit, and the note of it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.commit = project.landed()[-1].commit
        self.canary = project.directory / "canary"
        self.outside = project.directory / "outside"
        self.notes = project.git("rev-parse", "refs/notes/cobbler").strip()

    def restore(self) -> None:
        self.project.git("update-ref", "refs/notes/cobbler", self.notes)
        self.project.git("switch", "--quiet", "main")
        self.outside.unlink(missing_ok=True)

    @property
    def note(self) -> Document:
        document: Document = json.loads(self.project.git("notes", "--ref=cobbler", "show", self.commit))
        return document

    def write(self, content: str | bytes, commit: str = "") -> None:
        path = self.project.directory / "note"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.project.git("notes", "--ref=cobbler", "add", "--force", f"--file={path}", commit or self.commit)

    def verify(self, commit: str = "") -> Verification:
        config = load(self.project.path / "configuration.yaml")
        verifier = Verifier(config, open_repository(config), NO_HOOKS)
        found = verifier.verify(commit or self.commit, Cancellation())
        assert not self.canary.exists(), "the note chose what runs"
        return found

    def commit_tree(self, *files: str, message: str, parent: str) -> str:
        """A commit with other files, made on a branch that is checked out only for that."""
        git = self.project.git
        git("switch", "--quiet", "--detach", parent)
        git("add", "--force", *files)
        git("commit", "--quiet", "--allow-empty", "--message", message)
        made = git("rev-parse", "HEAD").strip()
        git("switch", "--quiet", "main")
        return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    agent = StandInAgent(tmp_path_factory.mktemp("agent"))
    with Project.create(tmp_path_factory.mktemp("verified"), agent) as project:
        project.write({"gate.sh": GATE.format(outside=project.directory / "outside")})
        project.configure(test_command="sh gate.sh", gate_report="report.xml")
        agent.measure().writes_tasks([{"title": "Add it"}])
        agent.task("Add it").writes("it.txt", "1\n")
        assert project.run("--cobbler-generate").ret == 0
        yield Bench(project)


@pytest.fixture
def bench(template: Bench) -> Iterator[Bench]:
    yield template
    template.restore()


def test_a_landing_is_verified(bench: Bench) -> None:
    found = bench.verify()
    assert (found.status, found.reasons) == (Status.VERIFIED, ())
    assert found.summary == "verified: 1 passed, 1 skipped, not signed"


def predicate(document: Document) -> Document:
    inner: Document = document["predicate"]
    return inner


def needs(document: Document, name: str) -> Document:
    [found] = [
        one for one in predicate(document)["buildDefinition"]["resolvedDependencies"] if one["name"] == name
    ]
    digest: Document = found["digest"]
    return digest


def result(document: Document) -> Document:
    annotations: Document = predicate(document)["runDetails"]["byproducts"][0]["annotations"]
    return annotations


def gate(document: Document) -> Document:
    stated: Document = predicate(document)["buildDefinition"]["internalParameters"]["gate"]
    return stated


OTHER = "0" * 40


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda d: d["subject"][0]["digest"].update(gitCommit=OTHER),
            "commit: 000000000000 in the statement, ",
        ),
        (lambda d: d["subject"][1]["digest"].update(gitTree=OTHER), "tree: 000000000000 in the statement, "),
        (lambda d: needs(d, "tip").update(gitCommit=OTHER), "tip: 000000000000 in the statement, "),
        (lambda d: needs(d, "base").update(gitCommit=OTHER), "base: 000000000000 does not hold the commit"),
        (lambda d: needs(d, "gate").update(sha256="0" * 64), "gate: the digest in the statement is not "),
        (lambda d: gate(d).update(image=f"sha256:{'0' * 64}"), f"image: sha256:{'0' * 64} then, none now"),
        (lambda d: gate(d).update(network="open"), "gate: network: open in the statement, none in the base"),
        (lambda d: result(d).update(verdict="failed"), "verdict: failed then, passed now"),
        (lambda d: result(d)["results"].update(second="passed"), "1 test: passed then, skipped now: second"),
        (lambda d: result(d)["results"].pop("first"), "1 test: did not run then, passed now: first"),
        (lambda d: result(d)["results"].update(x="passed"), "1 test: passed then, did not run now: x"),
        (
            lambda d: (result(d).pop("results"), result(d)["counts"].update(passed=2)),
            "tests: 2 passed, 1 skipped then, 1 passed, 1 skipped now",
        ),
        (lambda d: result(d).pop("counts"), "tests: what ran is unknown then, 1 passed, 1 skipped now"),
    ],
)
def test_what_differs_is_named(bench: Bench, edit: Callable[[Document], object], reason: str) -> None:
    document = bench.note
    edit(document)
    bench.write(json.dumps(document))
    found = bench.verify()
    assert found.status is Status.DIFFERS
    assert any(reason in one for one in found.reasons), found.reasons


def test_commands_of_the_note_do_not_run(bench: Bench) -> None:
    document = bench.note
    gate(document).update(commands=[["touch", str(bench.canary)]], report=f"$(touch {bench.canary})")
    bench.write(json.dumps(document))
    found = bench.verify()
    assert found.status is Status.DIFFERS
    assert "gate: the base's commands are not those of the statement" in found.reasons


def test_the_gate_of_a_base_that_the_checkout_does_not_hold_does_not_run(bench: Bench) -> None:
    """A note could name a commit of an agent, or of a stranger."""
    bench.project.write({"configuration.yaml": f"sandbox: none\ntest_command: touch {bench.canary}\n"})
    evil = bench.commit_tree("configuration.yaml", message="Evil", parent="main")
    document = bench.note
    needs(document, "base").update(gitCommit=evil)
    bench.write(json.dumps(document))
    found = bench.verify()
    assert found.status is Status.IMPOSSIBLE
    assert found.reasons[0] == f"the checkout does not hold the base {evil[:12]}, whose gate would run"


def test_a_base_from_before_the_generation_differs(bench: Bench) -> None:
    """The user may have corrected the gate since then."""
    first = bench.project.git("rev-list", "--max-parents=0", "main").strip()
    document = bench.note
    needs(document, "base").update(gitCommit=first)
    bench.write(json.dumps(document))
    found = bench.verify()
    assert found.status is Status.DIFFERS
    assert found.reasons == (f"base: {first[:12]} does not hold the commit from which the generation began",)


def test_a_forged_merge_of_a_strangers_base_does_not_choose_the_gate(bench: Bench) -> None:
    """A task may merge the base: what the base changes is the user's, and no refusal."""
    git = bench.project.git
    bench.project.write({"gate.sh": f"touch {bench.canary}\n"})
    evil = bench.commit_tree("gate.sh", message="Evil", parent="main")
    tree = git("rev-parse", f"{evil}^{{tree}}").strip()
    parents = [option for parent in (f"{bench.commit}^", evil) for option in ("-p", parent)]
    message = git("log", "-1", "--format=%B", bench.commit)
    forged = git("commit-tree", *parents, "-m", message, tree).strip()
    document = bench.note
    document["subject"][0]["digest"]["gitCommit"] = forged
    document["subject"][1]["digest"]["gitTree"] = tree
    bench.write(json.dumps(document), forged)
    found = bench.verify(forged)
    assert found.status is Status.IMPOSSIBLE
    assert found.reasons[0] == f"the checkout does not hold the base {evil[:12]}, whose gate would run"


def test_a_gate_that_fails_now_differs(bench: Bench) -> None:
    bench.outside.touch()
    found = bench.verify()
    assert found.status is Status.DIFFERS
    assert found.reasons[0] == "verdict: passed then, failed now (test failed (exit 1))"


def test_a_forged_landing_that_changes_the_gate_differs(bench: Bench) -> None:
    """Its note is right in all that it says of the commit."""
    git = bench.project.git
    bench.project.write({"gate.sh": f"touch {bench.canary}\n"})
    message = git("log", "-1", "--format=%B", bench.commit)
    forged = bench.commit_tree("gate.sh", message=message, parent=f"{bench.commit}^")
    document = bench.note
    document["subject"][0]["digest"]["gitCommit"] = forged
    document["subject"][1]["digest"]["gitTree"] = git("rev-parse", f"{forged}^{{tree}}").strip()
    bench.write(json.dumps(document), forged)
    found = bench.verify(forged)
    assert found.status is Status.DIFFERS
    assert found.reasons[0].startswith("a task may not do this by configuration.yaml of ")
    assert ": gate.sh: " in found.reasons[0]


def test_a_landing_by_a_path_that_was_allowed_later_is_verified_with_a_remark(bench: Bench) -> None:
    """The configuration of the landing was not committed then; by now it allows the path."""
    project, git = bench.project, bench.project.git
    text = (project.path / "configuration.yaml").read_text()
    project.write({"CLAUDE.md": "Be brief.\n"})
    message = git("log", "-1", "--format=%B", bench.commit)
    made = bench.commit_tree("CLAUDE.md", message=message, parent=f"{bench.commit}^")
    document = bench.note
    document["subject"][0]["digest"]["gitCommit"] = made
    document["subject"][1]["digest"]["gitTree"] = git("rev-parse", f"{made}^{{tree}}").strip()
    bench.write(json.dumps(document), made)
    assert ": CLAUDE.md: a protected path" in bench.verify(made).summary
    try:
        project.write({"configuration.yaml": f"{text}allow_paths: [CLAUDE.md]\n"})
        found = bench.verify(made)
    finally:
        project.write({"configuration.yaml": text})
    assert found.status is Status.VERIFIED
    assert found.remarks[0].startswith("allowed by configuration.yaml now: a task may not do this by ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("landed\n", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("{}", "the note is not a statement of pytest-cobbler"),
        (b"\xff\xfe\x00", "this is not JSON"),
        (" " * (LARGEST + 1) + "x", f"has more than {LARGEST} bytes"),
    ],
    ids=["text", "deep", "empty", "bytes", "huge"],
)
def test_a_note_that_is_not_a_statement_is_none(bench: Bench, content: str | bytes, reason: str) -> None:
    bench.write(content)
    found = bench.verify()
    assert found.status is Status.MISSING
    assert reason in found.summary


def test_a_commit_without_a_note_has_no_statement(bench: Bench) -> None:
    bench.project.git("notes", "--ref=cobbler", "remove", bench.commit)
    assert bench.verify().summary == "no statement"
    bench.project.git("update-ref", "-d", "refs/notes/cobbler")
    assert bench.verify().summary == "no statement"


def test_a_merge_names_the_way_to_the_landings_that_it_brings(bench: Bench) -> None:
    git = bench.project.git
    git("switch", "--quiet", "--detach", "main")
    git("merge", "--quiet", "--no-ff", "--no-edit", str(bench.project.generation))
    commit = git("rev-parse", "HEAD").strip()
    found = bench.verify(commit)
    *_, landings = found.summary.split()
    assert found.summary == (
        "no statement: it is a merge; for what it brings: pytest --cobbler-verify "
        f"{commit[:12]}^1..{commit[:12]}^2"
    )
    config = load(bench.project.path / "configuration.yaml")
    chosen = chosen_commits(config, open_repository(config), landings)
    assert [landed.commit for landed in chosen] == [bench.commit]


def test_text_of_a_note_has_no_control_codes_and_is_short(bench: Bench) -> None:
    document = bench.note
    result(document).update(verdict="\x1b[2J" + "x" * 100_000)
    bench.write(json.dumps(document))
    found = bench.verify()
    assert found.status is Status.DIFFERS
    assert found.summary.isprintable()
    assert len(found.summary) < 1000


def test_a_signature_is_not_checked(bench: Bench) -> None:
    content = bench.project.git("notes", "--ref=cobbler", "show", bench.commit).encode()
    bench.write(envelope(content, b"anything"))
    assert bench.verify().summary == "verified: 1 passed, 1 skipped, signed (not checked)"


def test_the_sandbox_of_the_checkout_is_not_given_up_for_an_older_base(bench: Bench) -> None:
    project = bench.project
    text = (project.path / "configuration.yaml").read_text()
    try:
        project.write({"configuration.yaml": text.replace("sandbox: none", "podman_image: i")})
        found = bench.verify()
    finally:
        project.write({"configuration.yaml": text})
    assert found.status is Status.IMPOSSIBLE
    assert "has sandbox: none, and configuration.yaml has not" in found.reasons[0]


def test_the_commits_are_those_of_the_generation_or_of_the_command_line(bench: Bench) -> None:
    config = load(bench.project.path / "configuration.yaml")
    repository = open_repository(config)

    def chosen(text: str) -> list[str]:
        return [landed.commit for landed in chosen_commits(config, repository, text)]

    generation = str(bench.project.generation)
    assert chosen("") == chosen(f"main..{generation}") == chosen(generation) == [bench.commit]
    assert chosen("main..main") == chosen(f"{generation}..") == []
    assert chosen("main") == [bench.project.git("rev-parse", "main").strip()]
    for wrong in ("nothing", "--all", "main...x", "nothing..main"):
        with pytest.raises(Exception, match="--cobbler-verify: there is no commit"):
            chosen(wrong)


def test_a_gate_that_failed_then_and_fails_now_is_not_verified(bench: Bench) -> None:
    bench.outside.touch()
    document = bench.note
    result(document).update(verdict="failed")
    for name in ("results", "counts"):
        result(document).pop(name)
    bench.write(json.dumps(document))
    found = bench.verify()
    assert found.status is Status.DIFFERS
    assert found.reasons == ("verdict: not passed, and the base's configuration has no red_base: allow",)

"""Checks the statements about landed commits: runs the base's gate again, and compares.

A statement is a git note, and anyone who can push may write one. It is compared, and never carried out: the
commands come from the configuration of the base, which the checkout has to hold.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import version

from pytest_cobbler.config import Config, load
from pytest_cobbler.display import counted, named, one_line
from pytest_cobbler.errors import CobblerError, SandboxError, UsageProblem
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.landing.caches import with_caches
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.landing.statements import (
    LARGEST,
    UNTESTED,
    StatedGate,
    StatedTrain,
    Statement,
    read_statement,
    results_of,
)
from pytest_cobbler.landing.tree_records import PASSED, summary_of, verdict_of
from pytest_cobbler.languages import Language
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.checkouts import checkouts
from pytest_cobbler.repository.checks import check_change
from pytest_cobbler.repository.generations import find_generation, read_generation, tip_of
from pytest_cobbler.repository.landing import merge
from pytest_cobbler.repository.notes import noted, read_note
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trailers import Landed, landed_commits
from pytest_cobbler.wiring.hooks import Hooks
from pytest_cobbler.wiring.languages import language_of
from pytest_cobbler.wiring.parts import make_gate, make_sandbox
from pytest_cobbler.wiring.policy import protection_of

__all__ = ["Status", "Verification", "Verifier", "chosen_commits"]

_MARK = "verify-"
_MOST_NAMED = 10
_LONGEST = 600
"""Characters of a reason."""


class Status(StrEnum):
    """The result for a commit."""

    VERIFIED = "verified"
    DIFFERS = "differs"
    MISSING = "no statement"
    IMPOSSIBLE = "cannot verify"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The result for a commit, with the reasons for it, a line each.

    ``remarks`` differ and do not matter for the result, such as the version of the container runtime.
    ``tests`` are those that the gate ran now, for people, ``log`` is the end of its output. ``gated`` is the
    commit on which it ran, if that is another one of the same train.
    """

    status: Status
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    tests: str = ""
    gated: str = ""
    signed: bool = False
    log: str = ""

    @property
    def summary(self) -> str:
        """The status with the reasons, or the tests, in a line."""
        if self.status is Status.VERIFIED:
            where = f" on {self.gated[:12]}, the end of its train" if self.gated else ""
            return f"verified: {self.tests}{where}, {'signed (not checked)' if self.signed else 'not signed'}"
        status = "DIFFERS" if self.status is Status.DIFFERS else str(self.status)
        return ": ".join((status, "; ".join(self.reasons))) if self.reasons else status


class _CannotVerify(CobblerError):
    """The gate cannot run as it ran before the landing."""


def chosen_commits(config: Config, repository: Repository, chosen: str) -> list[Landed]:
    """The commits to verify, oldest first.

    Args:
        chosen: a commit, or a range; empty for the landings of the active generation, or if there is none,
            for those in the history of HEAD that have a note.

    Raises:
        UsageProblem: there is no such revision.
        RepositoryError: several generations are active, and none is chosen.
    """
    if ".." in chosen:
        first, _, last = chosen.partition("..")
        return landed_commits(repository, f"{_commit(repository, first)}..{_commit(repository, last)}")
    if chosen:
        commit = _commit(repository, chosen)
        task = trailers.read_trailers(repository, commit).get(trailers.TASK, "")
        title = repository.objects.text("show", "-s", "--format=%s", commit)
        return [Landed(commit=commit, task=task, title=title)]
    generation = find_generation(repository, config.gen_prefix, config.generation_branch)
    if generation:
        return landed_commits(repository, f"{generation.first}..{tip_of(repository, generation)}")
    head, with_notes = repository.head_commit(), noted(repository)
    landed_here = landed_commits(repository, head) if head else []
    return [landed for landed in landed_here if landed.commit in with_notes]


def _commit(repository: Repository, revision: str) -> str:
    commit = repository.resolve(f"{revision or 'HEAD'}^{{commit}}")
    if commit is None:
        raise UsageProblem(
            f"--cobbler-verify: there is no commit {revision}", "Name a commit, or a range: FIRST..LAST"
        )
    return commit


class Verifier:
    """Verifies commits, one after the other.

    Args:
        config: the configuration of the checkout.
        hooks: the project's changes to the gate.
    """

    def __init__(self, config: Config, repository: Repository, hooks: Hooks) -> None:
        self._config = config
        self._repository = repository
        self._hooks = hooks
        self._run_id = secrets.token_hex(4)

    def verify(self, commit: str, cancellation: Cancellation) -> Verification:
        """Compare the statement about ``commit`` with the commit, and with a run of the gate."""
        try:
            note = read_note(self._repository, commit, LARGEST)
            statement = read_statement(note) if note is not None else None
        except CobblerError as error:
            return Verification(status=Status.MISSING, reasons=(f"its note cannot be read: {error.cause}",))
        if statement is None:
            return Verification(status=Status.MISSING, reasons=tuple(self._of_merge(commit)))
        try:
            found = self._compare(commit, statement, cancellation)
        except CobblerError as error:
            reasons = (error.cause, *error.remedy.splitlines())
            found = Verification(status=Status.IMPOSSIBLE, reasons=reasons)
        return replace(found, signed=statement.signed)

    def _of_merge(self, commit: str) -> Iterator[str]:
        """The way to the landings that a merge brings, such as that of a stop; it has no statement itself."""
        merged = self._repository.resolve(f"{commit}^2^{{commit}}")
        if merged and landed_commits(self._repository, f"{commit}^1..{merged}"):
            name = commit[:12]
            yield f"it is a merge; for what it brings: pytest --cobbler-verify {name}^1..{name}^2"

    def _compare(self, commit: str, statement: Statement, cancellation: Cancellation) -> Verification:
        if differences := tuple(self._other_objects(commit, statement)):
            return _differing(differences)
        self._check_base(statement.base)
        config = self._config_of(statement.base)
        language = language_of(config, self._repository, statement.base)
        gate = self._gate_of(config, language)
        forbidden, remarks = self._forbidden(commit, statement, config, language, gate), []
        if forbidden:  # as for red_base: a user may have allowed it since
            patterns = (*config.allow_paths, *self._config.allow_paths)
            opened = config.model_copy(update={"allow_paths": patterns})
            still = self._forbidden(commit, statement, opened, language, gate)
            remarks = [
                f"allowed by {config.path.name} now: {line}" for line in forbidden if line not in still
            ]
            if still:
                return _differing(still)
        if gate.steps and statement.gate.image:
            if difference := _other_image(gate, statement.gate.image):
                return _differing([difference])
            gate = replace(gate, image=statement.gate.image)
        gated = statement.train.commit if statement.train else commit
        with with_caches(gate, config, self._repository, statement.base, cancellation) as gate:
            result = self._run(gate, gated, cancellation) if gate.steps else None
            stated = StatedGate.of(gate.conditions()) if gate.steps else StatedGate()
        differences = (*_other_gate(statement, stated), *_other_result(statement, result))
        if result and statement.verdict != PASSED:
            differences = (*differences, *self._red(config, gate, statement, result, cancellation))
        if config.sign_command and not statement.signed:
            differences = (*differences, "signature: none, and the base's configuration has sign_command")
        return Verification(
            status=Status.DIFFERS if differences else Status.VERIFIED,
            reasons=_shortened(differences),
            remarks=_shortened((*remarks, *_other_circumstances(statement.gate, stated))),
            tests=summary_of(result.tests) if result else UNTESTED,
            gated=gated if gated != commit else "",
            log=result.output if result and not result.passed else "",
        )

    def _red(
        self,
        config: Config,
        gate: Gate,
        statement: Statement,
        result: GateResult,
        cancellation: Cancellation,
    ) -> Iterator[str]:
        """Why the commit should not have landed with that verdict."""
        if "allow" not in (config.red_base, self._config.red_base):
            yield "verdict: not passed, and the base's configuration has no red_base: allow"
        elif result.failures is None or (
            self._run(gate, statement.train.tip if statement.train else statement.tip, cancellation).failures
            != result.failures
        ):
            yield "verdict: not passed, and the tip did not fail in the same way"

    def _other_objects(self, commit: str, statement: Statement) -> Iterator[str]:
        """Where the statement names other objects than the commit has."""
        repository = self._repository
        tip = repository.resolve(f"{commit}^1^{{commit}}") or "none"
        actual = {
            "commit": (statement.commit, commit),
            "tree": (statement.tree, repository.tree_of(commit)),
            "tip": (statement.tip, tip),
        }
        for name, (stated, now) in actual.items():
            if stated != now:
                yield f"{name}: {stated[:12]} in the statement, {now[:12]} in the repository"
        yield from self._other_train(commit, statement.train)
        base = repository.resolve(f"{statement.base}^{{commit}}")
        if base is None or not repository.reaches(base, self._start_of(commit)):
            yield f"base: {statement.base[:12]} does not hold the commit from which the generation began"

    def _other_train(self, commit: str, train: StatedTrain | None) -> Iterator[str]:
        """Where the statement names another train than the commit, whose trailer has the gate's tree."""
        repository = self._repository
        gated = trailers.read_trailers(repository, commit).get(trailers.GATED, "")
        if train is None:
            if gated:
                yield f"train: none in the statement, and the gate ran on the tree {gated[:12]}"
            return
        listed = repository.objects.text(
            "rev-list", "--first-parent", "--end-of-options", f"{train.tip}..{train.commit}"
        ).split()
        tree = repository.tree_of(train.commit)
        if tree != train.tree or (gated or repository.tree_of(commit)) != tree:
            yield f"train: the tree {train.tree[:12]} in the statement, {(gated or tree)[:12]} in the commit"
        elif commit not in listed or len(listed) != train.size:
            yield f"train: {commit[:12]} is not among the {train.size} commits up to {train.commit[:12]}"

    def _start_of(self, commit: str) -> str:
        """The commit of the base from which the generation of a landed commit began."""
        name = trailers.read_trailers(self._repository, commit).get(trailers.GENERATION, "")
        return read_generation(self._repository, name, tip=commit).start

    def _forbidden(
        self, commit: str, statement: Statement, config: Config, language: Language, gate: Gate
    ) -> list[str]:
        """What the commit changes and no task may change, such as the files of the gate."""
        repository = self._repository
        protection = protection_of(
            config,
            repository,
            language,
            secrets=(),
            reserved=frozenset(),
            needs={},
            steps=gate.steps,
            trusted=(self._start_of(commit), statement.base),
        )
        before = self._before(commit, statement)
        tree = repository.tree_of(commit)
        return [
            f"a task may not do this by {config.path.name} of {statement.base[:12]}: {refusal}"
            for refusal in check_change(repository.objects, before, tree, protection.policy())[1]
        ]

    def _before(self, commit: str, statement: Statement) -> str:
        """The tree before the change of a landed commit: its tip, merged with the part of the base it brings.

        Raises:
            _CannotVerify: it merges a base that the checkout does not hold.
        """
        repository = self._repository
        trusted = repository.resolve(f"{commit}^2^{{commit}}")
        if trusted is None:
            return statement.tip
        if trailers.BRANCH in trailers.read_trailers(
            repository, commit
        ):  # a person's: only its base is trusted
            trusted = repository.merge_base(statement.base, trusted)
            if not trusted or repository.reaches(statement.tip, trusted):
                return statement.tip
        else:  # the task was to merge the base
            self._check_base(trusted)
        return merge(repository, statement.tip, trusted, attributes=(statement.tip, trusted)).tree

    def _check_base(self, base: str) -> None:
        """Check that the base is the user's: its configuration says what runs here.

        Raises:
            _CannotVerify: the checkout does not hold it.
        """
        head = self._repository.head_commit()
        if head is None or not self._repository.reaches(head, base):
            raise _CannotVerify(
                f"the checkout does not hold the base {base[:12]}, whose gate would run",
                "Check out the branch that has it: git switch BRANCH",
            )

    def _config_of(self, base: str) -> Config:
        """The configuration of the base.

        Raises:
            CobblerError: it has none, or none that is valid here.
        """
        path = self._config.path
        content = self._repository.read_file(base, path.name)
        if content is None:
            raise _CannotVerify(f"the base {base[:12]} has no {path.name}")
        config = load(path, content=content)
        if config.sandbox == "none" and self._config.sandbox != "none":
            raise _CannotVerify(f"the base {base[:12]} has sandbox: none, and {path.name} has not")
        return config

    def _gate_of(self, config: Config, language: Language) -> Gate:
        sandbox = make_sandbox(config, self._repository, self._run_id, _MARK)
        sandbox.check_engine()
        directory = self._repository.directory.path
        return make_gate(config, language, sandbox, self._run_id, self._hooks.gate, directory=directory)

    def _run(self, gate: Gate, commit: str, cancellation: Cancellation) -> GateResult:
        with (
            checkouts(self._repository, gate.sandbox.owner) as place,
            temporary_directory() as directory,
        ):
            tree = place.create(commit).tree
            return gate.run(tree, directory / "gate.log", cancellation)


def _differing(reasons: Iterable[str]) -> Verification:
    return Verification(status=Status.DIFFERS, reasons=_shortened(reasons))


def _shortened(lines: Iterable[str]) -> tuple[str, ...]:
    """Lines whose length a note does not decide on."""
    return tuple(one_line(line, _LONGEST) for line in lines)


def _other_image(gate: Gate, image: str) -> str:
    """Why the gate may not run in ``image``; empty if it may.

    A note must not choose among all images of this machine: in some of them, every test passes.

    Raises:
        _CannotVerify: it is gone.
    """
    now = gate.sandbox.engine(gate.image)
    if image == now.image or not now.image:
        return ""
    try:
        then = gate.sandbox.engine(image)
    except SandboxError as error:
        raise _CannotVerify(f"image gone: {image}") from error
    if set(then.repositories) & set(now.repositories):
        return ""
    return f"image: {image} in the statement never had the name of the image of the base's configuration"


def _other_gate(statement: Statement, now: StatedGate) -> Iterator[str]:
    """Where the gate of the base is not that of the statement."""
    then = statement.gate
    if then.digest != statement.gate_digest:
        yield "gate: the digest in the statement is not that of the gate in it"
    if then.image != now.image:
        yield f"image: {then.image or 'none'} then, {now.image or 'none'} now"
    if then.commands != now.commands and statement.version == version("pytest-cobbler"):
        yield "gate: the base's commands are not those of the statement"
    for name in ("network", "directory", "report", "keeps_services", "caches"):
        old, new = getattr(then, name), getattr(now, name)
        if old != new:
            yield f"gate: {name}: {old or 'none'} in the statement, {new or 'none'} in the base"


def _other_circumstances(then: StatedGate, now: StatedGate) -> Iterator[str]:
    """Where the machine or the program is another one than that of the landing."""
    if then.commands != now.commands:
        yield "the default commands of the gate belong to another version of pytest-cobbler"
    for name in ("variables", "runtime", "arguments", "limits"):
        old, new = getattr(then, name), getattr(now, name)
        if old != new:
            yield f"{name}: {_shown(old)} then, {_shown(new)} now"


def _other_result(statement: Statement, result: GateResult | None) -> Iterator[str]:
    """Where the gate ended in another way than the statement says."""
    verdict = verdict_of(result.cause, passed=result.passed) if result else UNTESTED
    if verdict != statement.verdict:
        how = f" ({result.summary})" if result and not result.passed else ""
        yield f"verdict: {statement.verdict} then, {verdict} now{how}"
    if result is None:
        return
    tests = result.tests
    if (statement.tests is None) != (tests is None):
        then = statement.tests.summary if statement.tests else summary_of(None)
        yield f"tests: {then} then, {summary_of(tests)} now"
    elif tests is not None and statement.tests is not None:
        if statement.results is not None:
            yield from _other_tests(statement.results, results_of(tests))
        elif statement.tests != tests.counts:
            yield f"tests: {statement.tests.summary} then, {tests.summary} now"


def _other_tests(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """The tests that ended in another way, those of each way in a line."""
    changes: dict[tuple[str, str], list[str]] = {}
    for test in sorted(then.keys() | now.keys()):
        old, new = then.get(test, "did not run"), now.get(test, "did not run")
        if old != new:
            changes.setdefault((old, new), []).append(test)
    for (old, new), tests in changes.items():
        yield f"{counted(len(tests), 'test')}: {old} then, {new} now: {named(tests, _MOST_NAMED)}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items()) or "none"
    return " ".join(value) if isinstance(value, tuple) else str(value)

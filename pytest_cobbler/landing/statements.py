"""The statement about a landing: what landed, on what, who made it, and what the gate found.

It is an in-toto statement (https://github.com/in-toto/attestation) with SLSA's provenance as its predicate
(https://slsa.dev/spec/v1.0/provenance), as JSON, in a git note of the landed commit.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.landing.candidates import Train
from pytest_cobbler.landing.tree_records import CaseResult, Conditions, Counts, TestRun, TreeRecord

__all__ = [
    "ENVELOPE",
    "LARGEST",
    "MOST_TESTS",
    "PREDICATE",
    "TYPE",
    "UNTESTED",
    "StatedGate",
    "StatedTrain",
    "Statement",
    "StatementError",
    "Work",
    "envelope",
    "make_statement",
    "read_statement",
    "results_of",
    "to_sign",
]

TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
ENVELOPE: Final = "application/vnd.in-toto+json"
"""The payload type of a signed statement (https://github.com/secure-systems-lab/dsse)."""

UNTESTED: Final = "not tested"
"""The verdict where there is no gate."""

LARGEST: Final = 4 << 20
"""Bytes of a note that is read."""

MOST_TESTS: Final = 10_000
"""Tests that are listed one by one. Of more, or of longer names, only the sums are stated."""

_LONGEST_LIST: Final = 1 << 20
_LONGEST_WORD: Final = 1000
_IMAGE: Final = re.compile(r"sha256:[0-9a-f]{64}")
_ID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_HOME: Final = "https://github.com/pytest-cobbler/pytest-cobbler"
_BUILD: Final = f"{_HOME}/blob/main/docs/statements.md"
"""Names the meaning of the parameters; a change of their meaning needs another name."""


class StatementError(CobblerError):
    """A note is not a statement, or a statement could not be signed."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The origin of a landed change.

    ``base`` is the commit with the gate's configuration, ``prompt`` the sha256 of the last prompt, ``gate``
    the commands as people see them, and ``by`` the identity that made the commit. The work of a person has no
    agent and no prompt; ``branch`` is its commit. ``node`` is where the agent worked; empty for the machine
    of the run.
    """

    task: str
    title: str
    generation: str
    base: str
    run: str
    attempt: int
    agent: str
    prompt: str
    gate: tuple[str, ...]
    by: str
    version: str
    branch: str = ""
    node: str = ""


@dataclass(frozen=True, kw_only=True)
class StatedGate:
    """The conditions of a gate, as a statement publishes them.

    Of variables it has the names alone: a digest of a value would let a reader try values, and the value may
    be a secret. Instead of a long script in ``commands``, such as that of a default gate, it has a digest.
    """

    commands: tuple[tuple[str, ...], ...] = ()
    variables: tuple[str, ...] = ()
    image: str = ""
    runtime: str = ""
    arguments: tuple[str, ...] = ()
    limits: Mapping[str, float | None] = field(default_factory=dict)
    network: str = "none"
    directory: str = ""
    report: str = ""
    keeps_services: bool = False
    caches: str = ""

    @classmethod
    def of(cls, conditions: Conditions) -> StatedGate:
        return cls(
            commands=tuple(tuple(map(_short, command)) for command in conditions.commands),
            variables=tuple(sorted(conditions.environment)),
            image=conditions.image,
            runtime=conditions.runtime,
            arguments=conditions.arguments,
            limits=conditions.limits,
            network=conditions.network,
            directory=conditions.directory,
            report=conditions.report,
            keeps_services=conditions.keeps_services,
            caches=conditions.caches,
        )

    @property
    def as_json(self) -> dict[str, Any]:
        document: dict[str, Any] = _gate().dump_python(self, mode="json")
        for late in ("directory", "caches"):
            if not document[late]:  # as in statements from before there was one
                del document[late]
        return document

    @property
    def digest(self) -> str:
        """sha256 of the conditions as JSON with sorted keys and without spaces."""
        text = json.dumps(self.as_json, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class StatedTrain:
    """The train of a landed commit: the gate ran once, on the tree of its last commit.

    ``commit`` and ``tree`` are those in the gate, ``tip`` is the commit before the train.
    """

    size: int
    commit: str
    tree: str
    tip: str

    @classmethod
    def of(cls, train: Train) -> StatedTrain:
        return cls(size=train.size, commit=train.commit, tree=train.tree, tip=train.tip)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a statement says of its commit.

    ``tests`` is ``None`` if what ran is unknown; ``results`` is the word for the end of each test by its id,
    ``None`` if they are not listed. ``version`` is that of the program that made the statement. ``train`` is
    set if the commit landed with others.
    """

    commit: str
    tree: str
    tip: str
    base: str
    gate: StatedGate
    gate_digest: str
    verdict: str
    tests: Counts | None
    results: Mapping[str, str] | None
    version: str
    signed: bool = False
    train: StatedTrain | None = None


def make_statement(
    work: Work,
    *,
    commit: str,
    tree: str,
    tip: str,
    record: TreeRecord | None,
    finished: datetime,
    train: StatedTrain | None = None,
) -> bytes:
    """The statement about ``commit``, which landed ``tree`` on ``tip``.

    Args:
        record: that of the tree in the gate; ``None`` if there is no gate.
    """
    gate = StatedGate.of(record.conditions) if record else StatedGate()
    began = record.made if record else finished
    predicate = {
        "buildDefinition": {
            "buildType": _BUILD,
            "externalParameters": {
                "task": work.task,
                "title": work.title,
                "generation": work.generation,
            },
            "internalParameters": {
                "agent": work.agent,
                "attempt": work.attempt,
                **({"node": work.node} if work.node else {}),
                **({"gateNode": record.node} if record and record.node else {}),
                "gate": gate.as_json,
            },
            "resolvedDependencies": _dependencies(
                work, tip, gate, record.conditions.image_digests if record else ()
            ),
        },
        "runDetails": {
            "builder": {"id": _HOME, "version": {"pytest-cobbler": work.version}},
            "metadata": {
                "invocationId": work.run,
                "startedOn": _time(began),
                "finishedOn": _time(finished),
            },
            "byproducts": [
                {"name": "gate", "annotations": _result(record)},
                {"name": "run by", "annotations": {"identity": work.by}},
                *([{"name": "train", "annotations": asdict(train)}] if train else []),
            ],
        },
    }
    statement = {
        "_type": TYPE,
        "subject": [
            {"name": "commit", "digest": {"gitCommit": commit}},
            {"name": "tree", "digest": {"gitTree": tree}},
        ],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }
    return json.dumps(statement, indent=1, ensure_ascii=True).encode() + b"\n"


def _dependencies(
    work: Work, tip: str, gate: StatedGate, references: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Everything that the result was made from, each with its digest.

    Args:
        references: of the image, in registries.
    """
    image = {
        "name": "image of the gate",
        "digest": {"sha256": gate.image.removeprefix("sha256:")},
        "annotations": {"references": list(references)},
    }
    return [
        {"name": "base", "digest": {"gitCommit": work.base}},
        {"name": "tip", "digest": {"gitCommit": tip}},
        *([{"name": "prompt", "digest": {"sha256": work.prompt}}] if work.prompt else []),
        *([{"name": "branch", "digest": {"gitCommit": work.branch}}] if work.branch else []),
        {"name": "gate", "digest": {"sha256": gate.digest}, "annotations": {"shown": list(work.gate)}},
        *([image] if gate.image else []),
    ]


def _short(word: str) -> str:
    if len(word) <= _LONGEST_WORD:
        return word
    return f"sha256:{hashlib.sha256(word.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _result(record: TreeRecord | None) -> dict[str, Any]:
    if record is None:
        return {"verdict": UNTESTED}
    result: dict[str, Any] = {
        "verdict": record.verdict,
        "seconds": round(record.seconds, 3),
        "tests": record.summary,
    }
    if record.tests is not None:
        counts = record.tests.counts
        result["counts"] = {
            "passed": counts.passed,
            "failed": counts.failed,
            "skipped": counts.skipped,
            "xfailed": counts.xfailed,
        }
        results = results_of(record.tests)
        if len(results) <= MOST_TESTS and sum(map(len, results)) <= _LONGEST_LIST:
            result["results"] = results
    if record.flaky:
        result["flaky"] = list(record.flaky[:MOST_TESTS])
    return result


def results_of(run: TestRun) -> dict[str, str]:
    """The id of each test -> passed, failed, xfailed or skipped; the first of these if it has several."""
    return {result.id: _word(result) for result in sorted(run.results, key=lambda result: result.id)}


def _word(result: CaseResult) -> str:
    for word in ("passed", "failed", "xfailed"):
        if getattr(result, word):
            return word
    return "skipped"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_statement(content: bytes) -> Statement:
    """What a note says, signed or not. A signature is not checked: its key is not known here.

    Raises:
        StatementError: it is not a statement of this kind.
    """
    if len(content) > LARGEST:
        raise StatementError(f"the note has more than {LARGEST} bytes")
    document = _parsed(content)
    signed = isinstance(document, dict) and "payload" in document
    if signed:
        document = _parsed(_payload(document))
    try:
        if (document["_type"], document["predicateType"]) != (TYPE, PREDICATE):
            raise StatementError(f"the statement is of another kind: {document['predicateType']!r:.100}")
        subject = {one["name"]: one["digest"] for one in document["subject"]}
        build = document["predicate"]["buildDefinition"]
        needs = {one["name"]: one["digest"] for one in build["resolvedDependencies"]}
        run = document["predicate"]["runDetails"]
        products = {one["name"]: one["annotations"] for one in run["byproducts"]}
        result = products["gate"]
        return Statement(
            commit=_object_id(subject["commit"]["gitCommit"]),
            tree=_object_id(subject["tree"]["gitTree"]),
            tip=_object_id(needs["tip"]["gitCommit"]),
            base=_object_id(needs["base"]["gitCommit"]),
            gate=_stated_gate(build["internalParameters"]["gate"]),
            gate_digest=_text(needs["gate"]["sha256"]),
            verdict=_text(result["verdict"]),
            tests=_counts().validate_python(result["counts"]) if "counts" in result else None,
            results=_results().validate_python(result["results"]) if "results" in result else None,
            version=_text(run["builder"]["version"]["pytest-cobbler"]),
            signed=signed,
            train=_stated_train(products["train"]) if "train" in products else None,
        )
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration, ValidationError) as error:
        raise StatementError("the note is not a statement of pytest-cobbler", evidence=str(error)) from error


# -- signatures


def to_sign(statement: bytes) -> bytes:
    """What a signature covers: the statement with its length and type before it (DSSE's encoding)."""
    return b"DSSEv1 %d %s %d %s" % (len(ENVELOPE), ENVELOPE.encode(), len(statement), statement)


def envelope(statement: bytes, signature: bytes) -> bytes:
    """The statement and its signature, as a DSSE envelope."""
    document = {
        "payloadType": ENVELOPE,
        "payload": base64.b64encode(statement).decode(),
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StatementError("this is not JSON", evidence=content[:200].decode("utf-8", "replace")) from error


def _payload(document: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(document["payload"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise StatementError("the envelope has no payload in base64") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.100} is not a text")
    return value


def _object_id(value: object) -> str:
    """A whole id: a name or an expression of git may mean any other object."""
    if not _ID.fullmatch(_text(value)):
        raise ValueError(f"{value!r:.100} is not the id of an object")
    return _text(value)


def _stated_train(value: object) -> StatedTrain:
    train = _train().validate_python(value)
    for one in (train.commit, train.tree, train.tip):
        _object_id(one)
    return train


def _stated_gate(value: object) -> StatedGate:
    gate = _gate().validate_python(value)
    if gate.image and not _IMAGE.fullmatch(gate.image):
        raise ValueError(f"{gate.image!r:.100} is not the id of an image")
    return gate


@functools.cache
def _gate() -> TypeAdapter[StatedGate]:
    return TypeAdapter(StatedGate)


@functools.cache
def _train() -> TypeAdapter[StatedTrain]:
    return TypeAdapter(StatedTrain)


@functools.cache
def _counts() -> TypeAdapter[Counts]:
    return TypeAdapter(Counts)


@functools.cache
def _results() -> TypeAdapter[dict[str, str]]:
    return TypeAdapter(dict[str, str])

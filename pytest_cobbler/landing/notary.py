"""Makes the statements of a run, and has them signed by the user's program."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pytest_cobbler.causes import Ending
from pytest_cobbler.display import shown_duration
from pytest_cobbler.errors import CobblerError, UsageProblem
from pytest_cobbler.landing.candidates import Train
from pytest_cobbler.landing.statements import (
    StatedTrain,
    StatementError,
    Work,
    envelope,
    make_statement,
    to_sign,
)
from pytest_cobbler.landing.tree_records import TreeRecord
from pytest_cobbler.process import Cancellation, run
from pytest_cobbler.repository.landing import Merge

__all__ = ["Notary", "Signer"]

PATIENCE: Final = 60.0
"""Seconds that the signing program may take."""

_LARGEST: Final = 64 * 1024
"""Bytes of a signature."""


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Runs ``command`` on this machine, in ``directory``, with the user's whole environment.

    The program is the user's own, from the trusted configuration, and may need a key, an agent of keys, or a
    network. It reads what is to be signed from stdin, and prints the signature.
    """

    command: tuple[str, ...]
    directory: Path
    patience: float = PATIENCE

    def check(self) -> None:
        """Check that the program exists.

        Raises:
            UsageProblem: it does not.
        """
        program = self.command[0]
        path = str(self.directory / program) if "/" in program else program
        if shutil.which(path) is None:
            raise UsageProblem(
                f"sign_command: there is no program {program}",
                "Install it, or correct sign_command in the configuration.",
            )

    def sign(self, statement: bytes, cancellation: Cancellation) -> bytes:
        """The statement in an envelope, with the program's signature.

        Raises:
            StatementError: the program did not sign it.
        """
        try:
            completion = run(
                self.command,
                env=dict(os.environ),
                cwd=self.directory,
                stdin=to_sign(statement),
                timeout=self.patience,
                cancellation=cancellation,
            )
        except CobblerError as error:
            raise StatementError(f"sign_command: {error.cause}") from error
        if completion.end == Ending.TIMEOUT:
            raise StatementError(f"sign_command did not end within {shown_duration(self.patience)}")
        if completion.end != Ending.EXITED:
            raise StatementError(f"sign_command was {completion.end}")
        if completion.status:
            last = completion.errors.strip().rpartition("\n")[2][-200:]
            said = f": {last}" if last else ""
            raise StatementError(f"sign_command failed (exit {completion.status}){said}")
        if not completion.stdout or len(completion.stdout) > _LARGEST:
            raise StatementError(f"sign_command printed {len(completion.stdout)} bytes, not a signature")
        return envelope(statement, completion.stdout)


class Notary:
    """Makes the statement of each landing of a run.

    Args:
        scrub: removes credentials from a text.
        signer: signs the statements; without one they are not signed.
    """

    def __init__(
        self, scrub: Callable[[str], str], signer: Signer | None, cancellation: Cancellation
    ) -> None:
        self._scrub = scrub
        self._signer = signer
        self._cancellation = cancellation
        self._unsigned: dict[str, str] = {}
        self.failures: list[str] = []
        """Why statements of landed commits are not signed, a line for each."""

    def state(
        self, work: Work, commit: str, merged: Merge, record: TreeRecord | None, train: Train | None = None
    ) -> bytes:
        """The note of ``commit``: a statement, signed if that is configured.

        If it cannot be signed it is still made, as the change has passed and its agent is paid for.
        """
        finished = datetime.now(UTC)
        statement = make_statement(
            work,
            commit=commit,
            tree=merged.tree,
            tip=merged.tip,
            record=record,
            finished=finished,
            train=StatedTrain.of(train) if train else None,
        )
        statement = self._scrub(statement.decode()).encode()
        if self._signer is None:
            return statement
        try:
            return self._signer.sign(statement, self._cancellation)
        except StatementError as error:
            self._unsigned[commit] = self._scrub(error.cause)
            return statement

    def landed(self, task_id: str, commit: str) -> tuple[str, ...]:
        """Take the fact that a commit has landed with its statement; return notes on that."""
        cause = self._unsigned.get(commit)
        if cause is None:
            return ()
        self.failures.append(f"{task_id} landed without a signature: {cause}")
        return (f"the statement is not signed: {cause}",)

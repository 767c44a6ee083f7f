"""What went wrong, in the user's words."""

from __future__ import annotations

import textwrap


class CobblerError(Exception):
    """An error that a user can fix: shown without a traceback.

    Args:
        cause: one line, what is wrong and where.
        remedy: what to do about it; may be empty.
        evidence: output of the program that failed; shown indented, last.
    """

    def __init__(self, cause: str, remedy: str = "", evidence: str = "") -> None:
        super().__init__(cause, remedy, evidence)
        self.cause = cause
        self.remedy = remedy
        self.evidence = evidence

    def __str__(self) -> str:
        parts = [self.cause]
        if self.remedy:
            parts.append(self.remedy)
        if self.evidence.strip():
            parts.append(textwrap.indent(self.evidence.strip("\n"), "  "))
        return "\n".join(parts)


class UsageProblem(CobblerError):
    """The command or the configuration cannot be carried out as given; nothing was started (exit 4)."""


class ConfigurationProblem(UsageProblem):
    """``configuration.yaml`` is wrong; lists every error of the file."""


class RepositoryError(CobblerError):
    """git, or the state of the user's repository."""


class TrackerError(CobblerError):
    """The tracker failed; never to be read as "there are no tasks"."""


class SandboxError(CobblerError):
    """The sandbox itself failed, not what ran in it."""


class NotStarted(SandboxError):
    """The sandbox could not start a job; nothing of it has run."""


class HookProblem(CobblerError):
    """A hook of the project raised, or gave something that it may not give."""


class OutsideProblem(HookProblem):
    """An agent or a tracker that a hook gave raised, or gave something that it may not give."""

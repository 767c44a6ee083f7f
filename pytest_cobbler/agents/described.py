"""Any program with a description as the agent."""

from __future__ import annotations

from dataclasses import replace

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.base import AgentRequest, AgentResult, OnStep, SessionPlace
from pytest_cobbler.agents.credential import no_credential
from pytest_cobbler.agents.descriptions.base import Description, Start
from pytest_cobbler.agents.launch import Launched, Program, launch, trial
from pytest_cobbler.display import one_line
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.probes import Probe
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.versions import find_version

__all__ = ["DescribedAgent"]

_LONGEST = 200
"""Characters of a line that may have a version."""


class DescribedAgent:
    """Runs a program as its description says, and goes on with its conversations.

    Args:
        described: the program.
        access: how it reaches the API.
    """

    def __init__(self, described: Description, access: Access) -> None:
        self._described = described
        self._access = access
        self.version = ""

    @property
    def description(self) -> str:
        return one_line(Secrets(self.secrets).scrub_text(f"agent: {self._described.shown}"))

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._access.secrets

    @property
    def proxied(self) -> bool:
        return self._access.proxied

    @property
    def sessions(self) -> SessionPlace | None:
        return self._described.sessions

    @property
    def instructions(self) -> tuple[str, ...]:
        return self._described.instructions

    @property
    def skills(self) -> tuple[str, ...]:
        return self._described.skills

    @property
    def outdated(self) -> str:
        version, tested = find_version(self.version), find_version(self._described.tested)
        if version is None or tested is None or version >= tested:
            return ""
        program = self._described.trial(proxied=False)[0]
        return f"{program} {version} is older than {tested}, the version that was tested"

    def preflight(self, sandbox: Sandbox) -> None:
        if probe := self.probe(sandbox):
            probe.run(sandbox)

    def probe(self, sandbox: Sandbox) -> Probe | None:
        described = self._described
        if self._access.credential is None and described.needs_credential:
            raise no_credential(self._access.wire.address.key)
        argv = described.trial(proxied=self._access.proxied)
        if not argv:
            return None
        printed = self._take_version if described.tested else None
        return trial(sandbox, self._access, argv, described.remedy, described.environment(sandbox), printed)

    def _take_version(self, line: bytes) -> None:
        if version := find_version(line.decode("utf-8", "replace")[:_LONGEST]):
            self.version = self.version or str(version)

    def run(self, request: AgentRequest, sandbox: Sandbox, cancellation: Cancellation) -> AgentResult:
        described, session = self._described, request.session
        request = replace(request, on_step=self._scrubbed(request.on_step))
        notes: tuple[str, ...] = ()
        if session and session.turn:
            start = described.go_on(request, session)
            launched = self._launch(start, request, sandbox, cancellation, resumes=True)
            if not launched.refused_to_continue:
                return replace(self._result(launched, session.id), continued=True)
            notes = (f"a new conversation, because the last one cannot go on: {launched.error()}",)
            session_id = session.restart()
        else:
            session_id = session.id if session else described.new_id()
        start = described.begin(request, session_id)
        result = self._result(self._launch(start, request, sandbox, cancellation), session_id)
        return replace(result, notes=(*notes, *result.notes))

    def _scrubbed(self, on_step: OnStep | None) -> OnStep | None:
        """``on_step``, for steps without a credential that came in pieces."""
        if on_step is None:
            return None
        secrets = Secrets(self.secrets)
        return lambda step: on_step(secrets.scrub_text(step))

    def _launch(
        self,
        start: Start,
        request: AgentRequest,
        sandbox: Sandbox,
        cancellation: Cancellation,
        *,
        resumes: bool = False,
    ) -> Launched:
        described, sessions = self._described, self._described.sessions
        home = {sessions.variable: str(request.session.home)} if sessions and request.session else {}
        program = Program(
            argv=start.argv,
            reader=described.reader,
            stdin=start.stdin.encode("utf-8", "replace"),
            environment={**described.environment(sandbox), **start.environment, **home},
            resumes=resumes,
            home=start.home,
        )
        return launch(program, self._access, request, sandbox, cancellation, described.patience)

    def _result(self, launched: Launched, session_id: str) -> AgentResult:
        # An interrupted run of claude exits with 0 too, and a result may be missing its end.
        error, doubt = launched.doubtful() if self._described.reports_success else (launched.error(), "")
        result = launched.result(error, session_id, doubt)
        return replace(result, text=Secrets(self.secrets).scrub_text(result.text))

"""Any program as the agent: it reads the prompt from stdin and exits with 0 when it is done."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.launch import Program, launch, trial
from pytest_cobbler.agents.prices import BUILT_IN, PriceList
from pytest_cobbler.display import one_line
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.probes import Probe
from pytest_cobbler.secret_forms import Secrets

__all__ = ["CommandAgent"]


class CommandAgent:
    """Runs ``command`` in the worktree.

    Its environment has ``COBBLER_PHASE``, ``COBBLER_TASK_ID``, ``COBBLER_TASK_TITLE``, ``COBBLER_ATTEMPT``
    and, in a measure, ``COBBLER_OUTPUT``, the file to write. From stream-json on its stdout, usage, steps and
    the last result are read. All other output is log text.

    Args:
        environment: more variables.
        credential: given to the program in the same variables as to claude.
        base_url: the address of the API, if it is not Anthropic's.
        proxied: credential and address stay on the host, see ``Access``.
        prices: by which the proxy counts.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        credential: Credential | None = None,
        base_url: str | None = None,
        proxied: bool = False,
        prices: PriceList = BUILT_IN,
    ) -> None:
        if not command:
            raise UsageProblem("agent_command is empty", "Give the program and its arguments as a list.")
        self._command = tuple(command)
        self._environment = dict(environment or {})
        self._access = Access(
            credential=credential, base_url=base_url, proxied=proxied, prices=prices or PriceList()
        )

    @property
    def description(self) -> str:
        return one_line(Secrets(self.secrets).scrub_text(f"agent: {shlex.join(self._command)}"))

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._access.secrets

    @property
    def proxied(self) -> bool:
        return self._access.proxied

    def preflight(self, sandbox: Sandbox) -> None:
        if probe := self.probe(sandbox):
            probe.run(sandbox)

    def probe(self, sandbox: Sandbox) -> Probe | None:
        program = self._command[0]
        if "/" in program and not program.startswith("/"):  # in a worktree that does not exist yet
            if not self._access.proxied:
                return None
            program = "sh"
        return trial(
            sandbox,
            self._access,
            [program],
            f"agent_command runs {program}: it must be in the image (podman_image), "
            "or on PATH without a sandbox.",
            self._environment,
        )

    def run(self, request: AgentRequest, sandbox: Sandbox, cancellation: Cancellation) -> AgentResult:
        program = Program(
            argv=self._command,
            stdin=request.prompt.encode("utf-8", "replace"),
            environment=self._environment | _facts(request),
        )
        launched = launch(program, self._access, request, sandbox, cancellation)
        return launched.result(launched.error())


def _facts(request: AgentRequest) -> dict[str, str]:
    facts = {
        "COBBLER_PHASE": request.phase,
        "COBBLER_TASK_ID": request.task_id,
        "COBBLER_TASK_TITLE": request.title,
        "COBBLER_ATTEMPT": str(request.attempt),
    }
    return facts | ({"COBBLER_OUTPUT": str(request.output)} if request.output else {})

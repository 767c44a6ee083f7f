"""Any program as the agent, for projects that make one themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.described import DescribedAgent
from pytest_cobbler.agents.descriptions.command import Command
from pytest_cobbler.agents.prices import BUILT_IN, PriceList
from pytest_cobbler.agents.rules import Rules
from pytest_cobbler.agents.wires.choose import WIRES

__all__ = ["CommandAgent"]


class CommandAgent(DescribedAgent):
    """Runs ``command`` in the worktree.

    Its environment has ``COBBLER_PHASE``, ``COBBLER_TASK_ID``, ``COBBLER_TASK_TITLE``, ``COBBLER_ATTEMPT``,
    in a measure ``COBBLER_OUTPUT``, the file to write, and, if the repository has instructions for agents,
    ``COBBLER_INSTRUCTIONS``, a file with those of the base. From stream-json on its stdout, usage, steps and
    the last result are read. All other output is log text.

    Args:
        environment: more variables.
        credential: given to the program in the variable of its API; of Anthropic's, as to claude.
        base_url: the address of the API, if it is not Anthropic's.
        proxied: credential and address stay on the host, see ``Access``.
        prices: by which the proxy counts.
        api: the format of the API, see ``WIRES``.
        hosted_tools, models: what requests through the proxy may use, see ``Rules``.
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
        api: str = "messages",
        hosted_tools: Sequence[str] = (),
        models: Sequence[str] = (),
    ) -> None:
        access = Access(
            credential=credential,
            base_url=base_url,
            proxied=proxied,
            prices=prices or PriceList(),
            rules=Rules(hosted_tools=tuple(hosted_tools), models=tuple(models)),
            wire=WIRES[api],
        )
        super().__init__(Command(command=tuple(command), variables=dict(environment or {})), access)

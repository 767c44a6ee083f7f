"""How an agent reaches the model's API: what its program gets, and what stays on the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_cobbler.agents.address import check_address
from pytest_cobbler.agents.base import OnExchange
from pytest_cobbler.agents.budget import Account
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.agents.health import Caller
from pytest_cobbler.agents.prices import BUILT_IN, PriceList
from pytest_cobbler.agents.rules import EVERYTHING_LOCAL, Rules
from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.sandbox.base import Capability, Sandbox

if TYPE_CHECKING:
    from pytest_cobbler.agents.proxy import ApiProxy

__all__ = ["Access"]


PORT: Final = 8377
"""The port of the proxy, on the loopback of each job."""

_USELESS: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})
"""Variables that would send the program to a proxy that it cannot reach, instead of to ours."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What an agent's program needs to reach the API.

    Args:
        credential: the real credential, if there is one.
        base_url: the address of the API, if it is not the one of its maker.
        proxied: the program gets a stand-in for the credential and the address of a proxy on its own
            loopback, its only network; the proxy runs on the host and adds the credential. Otherwise the
            program gets both.
        prices: by which the proxy counts.
        rules: which requests the proxy passes on.
        wire: the format of the API.
        handed: other secrets that the program gets.
    """

    credential: Credential | None = None
    base_url: str | None = None
    proxied: bool = False
    prices: PriceList = BUILT_IN
    rules: Rules = EVERYTHING_LOCAL
    wire: Wire = MESSAGES
    handed: tuple[str, ...] = field(default=(), repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not appear in any transcript, log, report or commit."""
        return (*(self.credential.secrets() if self.credential else ()), *self.handed)

    @property
    def address(self) -> str:
        """Where the API is, as the program sees it."""
        if self.proxied:
            return f"http://127.0.0.1:{PORT}{self.wire.address.below}"
        return self.base_url or self.wire.address.api

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The ``given`` variables of the program, with the address of the API."""
        address = self.wire.address
        if self.proxied:
            kept = {name: value for name, value in given.items() if name.lower() not in _USELESS}
            return kept | {address.variable: self.address}
        return {**({address.variable: self.base_url} if self.base_url else {}), **given}

    def variables(self) -> dict[str, str]:
        """The variables that hold the credential."""
        if self.credential is None:
            return {}
        return (self.credential.stand_in() if self.proxied else self.credential).environment()

    def preflight(self, sandbox: Sandbox) -> None:
        """Check that the API can be served to ``sandbox``.

        Raises:
            UsageProblem: the API cannot be served, or its address is invalid.
        """
        if self.base_url:
            address = self.wire.address
            check_address(address.variable, self.base_url, f"an API, such as {address.api}")
        if self.proxied and Capability.LOOPBACK not in sandbox.capabilities:
            raise UsageProblem(
                "agent_network: proxy needs containers on this machine, but podman runs them on another one",
                "Set agent_network: open (agents then have a network, and can read the key).",
            )

    def proxy(
        self,
        on_exchange: OnExchange | None = None,
        account: Account | None = None,
        caller: Caller | None = None,
    ) -> ApiProxy:
        """The proxy of one job; ``on_exchange`` is told of the requests, which ``account`` pays for.

        ``caller`` is told how the API serves them.

        Raises:
            UsageProblem: ``base_url`` or the address of the proxy before it is invalid.
        """
        from pytest_cobbler.agents.proxy import ApiProxy  # takes a fifth of a second

        assert self.credential is not None
        return ApiProxy(
            self.credential,
            self.base_url or self.wire.address.api,
            PORT,
            on_exchange,
            self.prices,
            account,
            caller,
            wire=self.wire,
            rules=self.rules,
        )

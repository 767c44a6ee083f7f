"""The agents and the API of a schedule.

The program of an agent, the network and the API are made up. How a program is launched and how its end is
read (``launch``), and all that the proxy asks of budget, meter and health, is real.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_cobbler.agents.base import AgentRequest, AgentResult, OnExchange, SessionPlace
from pytest_cobbler.agents.budget import Account, Unpaid
from pytest_cobbler.agents.health import Caller
from pytest_cobbler.agents.launch import Program, launch
from pytest_cobbler.agents.metering import Answer, Meter
from pytest_cobbler.agents.prices import Price, PriceList
from pytest_cobbler.agents.spending import Order, Spender, TooDear
from pytest_cobbler.agents.streams.claude import ClaudeReader
from pytest_cobbler.agents.troubles import Trouble, trouble_of, unreached
from pytest_cobbler.agents.wires.base import Asked
from pytest_cobbler.agents.wires.messages import MESSAGES
from pytest_cobbler.causes import Ending
from pytest_cobbler.process import Cancellation, Writable
from pytest_cobbler.sandbox.base import Completed, Job
from pytest_cobbler.usage import Usage
from tests.simulator.standins import Stand, complete

__all__ = ["Agent", "Api", "Reply", "Watcher", "Work"]

MODEL = "sim-model"
PRICES = PriceList({MODEL: Price.of({"input": 1, "output": 5})})
_PICO_INPUT, _PICO_OUTPUT = 10**6, 5 * 10**6
"""Picodollars for a token, as the API bills it."""


@dataclass(frozen=True)
class Reply:
    """How the API answers a request: with ``status``, after ``seconds``; 0: it cannot be reached.

    ``wait``: seconds that it names, with an error. ``kind``: the type of an error. ``cut``: the answer breaks
    off after its beginning. ``share``: the part of the allowed output that it has.
    """

    status: int = 200
    seconds: float = 1.0
    wait: float | None = None
    kind: str = ""
    cut: bool = False
    share: float = 0.3


@dataclass(frozen=True)
class Work:
    """What an agent does in one attempt: asks the API so often, then leaves ``files`` and ends.

    ``ending``, ``status``: how its program ends by itself. ``patience``: how often it sends a request again.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    requests: int = 1
    seconds: float = 3.0
    status: int = 0
    ending: Ending = Ending.EXITED
    patience: int = 1
    tokens: int = 8_000


Draw = Callable[[AgentRequest], Work]
Leave = Callable[[AgentRequest, Mapping[str, str], bool], None]
"""Writes files to the worktree of a request; the last argument tells whether they are complete."""


class Watcher:
    """Told of what agents and API do; the invariants are checked there. The methods here do nothing."""

    def agent_starts(self, agent: str, request: AgentRequest) -> None: ...

    def agent_ends(self, request: AgentRequest, result: AgentResult) -> None: ...

    def asked(self, task: str, most: int) -> None:
        """A request was sent that costs ``most`` picodollars at most."""

    def billed(self, task: str, most: int, cost: int) -> None:
        """The API bills ``cost`` for it."""

    def troubled(self, agent: str, trouble: Trouble) -> None: ...

    def served(self, agent: str, asked: Any) -> None: ...


class Api:
    """Answers requests by the schedule."""

    def reply(self) -> Reply:
        return Reply()


class _Ended(Exception):
    """The program was ended from outside."""


class _Proxy:
    """What ``ApiProxy`` does between a program and the API, without the network."""

    network = None
    refusal = ""

    def __init__(self, agent: Agent, on_exchange: OnExchange, account: Account, caller: Caller) -> None:
        self._watcher, self._api, self._name = agent.watcher, agent.api, agent.name
        self._on_exchange = on_exchange
        self._task = account.task or ""
        self._caller = caller
        self._spender = Spender(account, PRICES, MESSAGES)
        self._meter = Meter()
        self._sent = 0

    @property
    def usage(self) -> Usage:
        return self._meter.usage

    @property
    def unpaid(self) -> Unpaid | None:
        return self._spender.unpaid

    @property
    def trouble(self) -> Trouble | None:
        return self._meter.trouble

    def ask(self, body: bytes, cancellation: Cancellation) -> tuple[int, Trouble | None]:
        """Send a request; return the status of the answer, and why it was none.

        Raises:
            _Ended: the program was ended meanwhile.
        """
        asked = Asked.of(body)
        answer, order = Answer(PRICES, MESSAGES), Order.free(asked)
        try:
            try:
                order = complete(self._spender.afford(asked), lambda: cancellation.requested)
            except TooDear:
                return 403, None
            except asyncio.CancelledError:
                raise _Ended from None
            self._meter.ask(answer)
            self._sent += 1
            answer.number = self._sent
            self._on_exchange("request", {"number": answer.number, **order.facts})
            self._exchange(answer, order, cancellation)
        finally:
            if answer.number:
                charged = self._spender.settle(order, answer)
                facts = {"number": answer.number, "status": answer.status, "tokens": answer.usage.tokens}
                cut = {} if answer.is_whole else {"cut": True}
                self._on_exchange("answer", {**facts, **charged, **cut})
            if answer.trouble:
                self._watcher.troubled(self._name, answer.trouble)
                self._caller.met(answer.trouble)
            elif answer.is_whole and answer.counted:
                self._watcher.served(self._name, answer.asked)
                self._caller.answered(answer.asked)
        return answer.status, answer.trouble

    def _exchange(self, answer: Answer, order: Order, cancellation: Cancellation) -> None:
        body = json.loads(order.body)
        tokens, prompt = int(body["max_tokens"]), len(order.body) // 4
        most = cost = prompt * _PICO_INPUT + tokens * _PICO_OUTPUT  # it is sent, whatever follows
        reply = self._api.reply()
        self._watcher.asked(self._task, most)
        try:
            _pass(reply.seconds / 2, cancellation)
            if not reply.status:
                cost = 0
                answer.drop()
                answer.trouble = unreached("the API cannot be reached")
                self._meter.begin(answer)
                return
            answer.begin(reply.status, {} if reply.wait is None else {"retry-after": f"{reply.wait:g}"})
            self._meter.begin(answer)
            if reply.status != 200:
                cost = 0
                error = {"type": "error", "error": {"type": reply.kind, "message": "no"}}
                answer.take_body(json.dumps(error).encode())
                return
            self._caller.was_answered = True
            usage = {"input_tokens": prompt, "output_tokens": 1}
            _say(answer, "message_start", message={"model": MODEL, "usage": usage})
            _pass(reply.seconds / 2, cancellation)
            if reply.cut:
                answer.trouble = unreached("the API broke off its answer")
                return
            output = int(tokens * reply.share)
            _say(answer, "message_delta", usage={"output_tokens": output})
            _say(answer, "message_stop")
            cost = prompt * _PICO_INPUT + output * _PICO_OUTPUT
        finally:
            self._watcher.billed(self._task, most, cost)


def _say(answer: Answer, kind: str, **facts: object) -> None:
    answer.take_line(b"data: " + json.dumps({"type": kind, **facts}).encode())


def _pass(seconds: float, cancellation: Cancellation) -> None:
    """Let time pass.

    Raises:
        _Ended: the run was cancelled meanwhile.
    """
    begin = Stand.stage.seconds
    while (left := begin + seconds - Stand.stage.seconds) > 0 and not cancellation.requested:
        Stand.wait(lambda: cancellation.requested, left)
    if cancellation.requested:
        raise _Ended


class _Stream:
    """An agent that no proxy serves: there is only what it prints."""

    def __init__(self, agent: Agent, output: Writable) -> None:
        self._api = agent.api
        self._output = output
        self._answers = 0
        self._print("system", subtype="init", model=MODEL)

    def ask(self, body: bytes, cancellation: Cancellation) -> tuple[int, Trouble | None]:
        """As ``_Proxy.ask``."""
        reply, prompt = self._api.reply(), len(body) // 4
        _pass(reply.seconds, cancellation)
        if reply.status == 200 and not reply.cut:
            self._answers += 1
            usage = {
                "input_tokens": prompt,
                "output_tokens": int(json.loads(body)["max_tokens"] * reply.share),
            }
            message = {"id": str(self._answers), "model": MODEL, "usage": usage, "content": []}
            self._print("assistant", message=message)
            return 200, None
        status = 0 if reply.cut else reply.status
        known = {"error_status": status} if status else {}
        self._print("system", subtype="api_retry", error=reply.kind, retry_delay_ms=1000, **known)
        return status, trouble_of(status, reply.kind) or unreached(reply.kind)

    def fails(self, status: int) -> None:
        """Print the result of a program that gives up, as claude does."""
        known = {"api_error_status": status} if status else {"api_error": "connection_failed"}
        self._print("result", subtype="success", is_error=True, terminal_reason="api_error", **known)

    def _print(self, kind: str, **facts: object) -> None:
        self._output.write(json.dumps({"type": kind, **facts}).encode() + b"\n")


class _Access:
    """The way of a program to the API."""

    secrets = ()
    prices = PRICES

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.proxied = agent.proxied
        self.made: _Proxy | None = None

    def proxy(self, on_exchange: OnExchange, account: Account, caller: Caller) -> _Proxy:
        self.made = _Proxy(self.agent, on_exchange, account, caller)
        return self.made

    def environment(self, given: Mapping[str, str]) -> Mapping[str, str]:
        return given

    def variables(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True, kw_only=True)
class _Conversations(SessionPlace):
    """Conversations with ids that name the agent, in the place of the variable."""

    def new_id(self) -> str:
        return f"{self.variable}-{Stand.stage.turns}"


class Agent:
    """An agent of a run: draws what to do, and does it in the worktree of the request."""

    secrets = ()

    def __init__(self, name: str, api: Api, watcher: Watcher, draw: Draw, leave: Leave) -> None:
        self.name = name
        self.description = f"agent: {name}"
        self.sessions = _Conversations(variable=name, pattern="{id}")
        self.api = api
        self.proxied = True
        """Whether a proxy serves it."""
        self.watcher = watcher
        self._draw = draw
        self.leave = leave

    def run(self, request: AgentRequest, _sandbox: Any, cancellation: Cancellation) -> AgentResult:
        program = Program(argv=("sim",), reader=ClaudeReader, stdin=b"", environment={})
        work = self._draw(request)
        self.watcher.agent_starts(self.name, request)
        access = _Access(self)
        machine = _Machine(access, request, work, self.leave)
        launched = launch(program, access, request, machine, cancellation)  # type: ignore[arg-type]
        goes_on = request.session is not None and bool(request.session.turn)
        result = replace(launched.result(launched.error()), continued=goes_on)
        self.watcher.agent_ends(request, result)
        if request.on_step:
            request.on_step("ended")
        return result


class _Machine:
    """Where the program of one agent runs."""

    def __init__(self, access: _Access, request: AgentRequest, work: Work, leave: Leave) -> None:
        self._access, self._request, self._work, self._leave = access, request, work, leave

    def run(self, job: Job, cancellation: Cancellation) -> Completed:
        assert job.stdout is not None
        begin, proxy = Stand.stage.seconds, self._access.made or _Stream(self._access.agent, job.stdout)
        status, ending = 1, Ending.EXITED
        with contextlib.suppress(_Ended):
            status, ending = self._program(proxy, cancellation)
        if cancellation.requested:
            status, ending = 1, Ending.CANCELLED
        return Completed(status=status, cause=ending, seconds=Stand.stage.seconds - begin, stderr="")

    def _program(self, proxy: _Proxy | _Stream, cancellation: Cancellation) -> tuple[int, Ending]:
        work, request = self._work, self._request
        status = 0
        for number in range(work.requests):
            prompt = [{"role": "user", "content": f"{request.task_id} {number}"}]
            asked = {"model": MODEL, "max_tokens": work.tokens, "messages": prompt}
            body = json.dumps(asked).encode()
            for _ in self._tries(cancellation):
                status, trouble = proxy.ask(body, cancellation)
                if status == 200 and trouble is None:
                    break
                if trouble is None or not trouble.passes:
                    return self._gives_up(proxy, status)
            else:
                return self._gives_up(proxy, status)
            if not number and work.files:
                self._leave(request, work.files, False)
            _pass(work.seconds, cancellation)
        self._leave(request, work.files, True)
        return work.status, work.ending

    @staticmethod
    def _gives_up(proxy: _Proxy | _Stream, status: int) -> tuple[int, Ending]:
        if isinstance(proxy, _Stream):
            proxy.fails(status)
        return 1, Ending.EXITED

    def _tries(self, cancellation: Cancellation) -> Iterator[int]:
        for number in range(self._work.patience):
            if number:
                _pass(4.0, cancellation)
            yield number

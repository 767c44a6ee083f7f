"""OpenTelemetry spans of a run, by the conventions for generative AI. They have no text of a prompt or agent.

https://github.com/open-telemetry/semantic-conventions-genai
"""

from __future__ import annotations

import threading
import time
from typing import Any

from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.causes import Cause
from pytest_cobbler.listeners import ItemEnd, MeasureEnd, RunListener

__all__ = ["SpanListener"]


class SpanListener(RunListener):
    """A span for the run; in it one for each item; in that one for each run of an agent and of a gate."""

    def __init__(self, tracer: Tracer, generation: str) -> None:
        self._tracer = tracer
        self._lock = threading.Lock()
        self._open: dict[str, Span] = {}
        workflow = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": generation}
        self._run = tracer.start_span(f"invoke_workflow {generation}", attributes=workflow)

    def _span(self, key: str, name: str, within: Span, **more: Any) -> Span:
        """The open span ``key``, which begins now if it has not begun."""
        with self._lock:
            if key not in self._open:
                context = set_span_in_context(within)
                self._open[key] = self._tracer.start_span(name, context, **more)
            return self._open[key]

    def _item(self, key: str) -> Span:
        return self._span(key, key, self._run, attributes={"cobbler.item": key})

    def _end(self, key: str, cause: str, **attributes: str | int | float) -> None:
        with self._lock:
            span = self._open.pop(key, None)
        if span is None:
            return
        span.set_attributes({name.replace("__", "."): value for name, value in attributes.items() if value})
        if cause:
            span.set_attribute("error.type", cause)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def agent_starts(self, request: AgentRequest, number: int, parent: str) -> None:  # noqa: ARG002
        item = f"{request.phase}::{request.task_id}"
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": request.agent,
            "cobbler.attempt": number,
        }
        self._span(f"{item} agent", f"invoke_agent {request.agent}", self._item(item), attributes=attributes)

    def agent_ended(self, request: AgentRequest, number: int, result: AgentResult) -> None:  # noqa: ARG002
        usage = result.usage
        self._end(
            f"{request.phase}::{request.task_id} agent",
            result.completed.cause.cause if result.error else "",
            gen_ai__response__model=usage.model,
            gen_ai__usage__input_tokens=usage.tokens_input
            + usage.tokens_cache_read
            + usage.tokens_cache_write,
            gen_ai__usage__output_tokens=usage.tokens_output,
            gen_ai__usage__cache_read__input_tokens=usage.tokens_cache_read,
            gen_ai__usage__cache_creation__input_tokens=usage.tokens_cache_write,
            cobbler__cost_usd=usage.cost_usd or 0.0,
        )

    def measure_ended(self, end: MeasureEnd) -> None:
        self.agent_ended(end.request, end.number, end.result)

    def gated(self, task_id: str, tree: str, **ended: Any) -> None:
        item, gate = f"stitch::{task_id}", {"cobbler.tree": tree}
        begin = time.time_ns() - int(ended["seconds"] * 1e9)
        self._span(f"{item} gate", "gate", self._item(item), start_time=begin, attributes=gate)
        self._end(f"{item} gate", "" if ended["passed"] else Cause.GATE)

    def item_ended(self, end: ItemEnd) -> None:
        self._end(f"{end.key} agent", end.cause)
        self._end(end.key, end.cause, cobbler__outcome=end.outcome, cobbler__commit=end.commit)

    def close(self) -> None:
        """End the span of the run, and what is open in it."""
        for key in [*self._open]:
            self._end(key, Cause.CANCELLED)
        self._run.end()

"""OpenTelemetry gets the spans of a run, without text of an agent. A receiver may be down."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_cobbler.testing.project import Project
from pytest_cobbler.wiring import telemetry
from tests.support.sessions import came_to, seed, task

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs pytest-cobbler[otel]")

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Receiver:
    """Keeps the spans that are sent to it, by their names."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self.spans: list[Any] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                    resource = {one.key: one.value.string_value for one in part.resource.attributes}
                    receiver.services.add(resource["service.name"])
                    receiver.spans += [span for scope in part.scope_spans for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def tree(self) -> list[str]:
        """The names of the spans, each behind those that it is in, sorted."""
        by_id = {span.span_id: span for span in self.spans}

        def path(span: Any) -> str:
            above = f"{path(by_id[span.parent_span_id])} > " if span.parent_span_id else ""
            return f"{above}{span.name}"

        return sorted(map(path, self.spans))

    def attributes(self, span: Any) -> dict[str, object]:
        return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A task that lands in its second attempt, one that fails, one that is blocked, and a measure."""
    agent = cobbler_project.agent
    cobbler_project.configure(max_attempts=2, jobs=1, test_command="! grep -l wrong *.txt")
    usage: dict[str, Any] = {
        "tokens_input": 1,
        "tokens_output": 2,
        "tokens_cache_read": 4,
        "tokens_cache_write": 8,
    }
    agent.task("A secret title").writes("a.txt", "wrong\n").prints("A secret text")
    agent.task("A secret title", attempt=2).writes("a.txt", "right\n").reports(
        cost_usd=0.5, model="tiny-1", **usage
    )
    agent.task("Bad").fails()
    seed(cobbler_project, task("p-a", title="A secret title"), task("p-b", title="Bad"), task("p-c", "p-b"))
    return cobbler_project


def test_a_run_sends_spans_of_items_agents_and_gates(project: Project, receiver: Receiver) -> None:
    result = project.run("--cobbler-generate", env={ENDPOINT: receiver.url})
    assert result.ret == 1
    run = f"invoke_workflow {project.generation}"
    assert receiver.tree() == [
        run,
        f"{run} > measure::cycle-1",
        f"{run} > measure::cycle-1 > invoke_agent command",
        f"{run} > stitch::p-a",
        f"{run} > stitch::p-a > gate",
        f"{run} > stitch::p-a > gate",
        f"{run} > stitch::p-a > invoke_agent command",
        f"{run} > stitch::p-a > invoke_agent command",
        f"{run} > stitch::p-b",
        f"{run} > stitch::p-b > invoke_agent command",
        f"{run} > stitch::p-b > invoke_agent command",
    ]
    assert receiver.services == {"pytest-cobbler"}
    assert len({span.trace_id for span in receiver.spans}) == 1
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in receiver.spans)
    told = [receiver.attributes(span) for span in receiver.spans]
    assert {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "command",
        "cobbler.attempt": 2,
        "gen_ai.response.model": "tiny-1",
        "gen_ai.usage.input_tokens": 13,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 8,
        "cobbler.cost_usd": 0.5,
    } in told
    errors = sorted(str(one["error.type"]) for one in told if "error.type" in one)
    assert errors == ["agent", "agent", "agent", "gate"]
    assert "secret" not in str(receiver.spans)


@pytest.mark.parametrize("answers", [False, True], ids=["refused", "silent"])
def test_a_receiver_that_is_down_changes_nothing(project: Project, answers: bool) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()  # it takes a connection, and never answers
        env = {ENDPOINT: f"http://127.0.0.1:{server.getsockname()[1]}"}
        result = project.run("--cobbler-generate", "configuration.yaml::stitch::p-a", env=env)
    assert (result.ret, came_to(result)) == (0, {"stitch::p-a": "landed"})
    assert result.errlines == []
    assert not any("opentelemetry" in line or "Connection" in line for line in result.outlines)


def opened(environment: dict[str, str]) -> tuple[object, list[str]]:
    warnings: list[str] = []
    with telemetry.span_listener("generation-1", warnings.append, environment) as listener:
        return listener, warnings


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_spans_are_sent_only_where_the_environment_asks_for_them(environment: dict[str, str]) -> None:
    assert opened(environment) == ((), [])


def test_why_no_spans_are_sent_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {ENDPOINT: "http://127.0.0.1:9"}
    why = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but only the protocol http/protobuf is supported"
    grpc = f"no spans are sent: {why}"
    assert opened({**asked, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) == ((), [grpc])

    def missing(*_arguments: object) -> object:
        raise ImportError

    monkeypatch.setattr(telemetry, "_open", missing)
    install = (
        "no spans are sent: OTEL_EXPORTER_OTLP_ENDPOINT is set; install pytest-cobbler with its extra otel"
    )
    assert opened(asked) == ((), [install])

    def refused(*_arguments: object) -> object:
        raise ValueError("no number")

    monkeypatch.setattr(telemetry, "_open", refused)
    assert opened(asked)[1][0].endswith("but OpenTelemetry refuses its settings: no number")

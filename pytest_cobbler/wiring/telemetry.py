"""OpenTelemetry, if its own environment variables name a receiver of spans."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_cobbler.telemetry import SpanListener

__all__ = ["span_listener"]

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP: Final = "http/protobuf"
_PATIENCE: Final = 2.0
"""Seconds that the last spans have to be sent at the end of a run."""


@contextlib.contextmanager
def span_listener(
    generation: str, warn: Callable[[str], None], environment: Mapping[str, str] = os.environ
) -> Iterator[tuple[SpanListener, ...]]:
    """A listener whose spans are sent while it is open; none if the environment names no receiver.

    A receiver that does not answer fails nothing, and delays the end of a run by two seconds at most.

    Args:
        warn: called with the reason if spans are asked for and cannot be sent.
    """
    endpoint = next((name for name in _ENDPOINTS if environment.get(name)), "")
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if not endpoint or is_off or environment.get("OTEL_TRACES_EXPORTER") not in (None, "", "otlp"):
        yield ()
        return
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _HTTP)
    if protocol != _HTTP:
        warn(f"no spans are sent: {endpoint} is set, but only the protocol {_HTTP} is supported")
        yield ()
        return
    try:
        listener, shut_down = _open(generation)
    except ImportError:
        warn(f"no spans are sent: {endpoint} is set; install pytest-cobbler with its extra otel")
        yield ()
        return
    except ValueError as error:
        warn(f"no spans are sent: {endpoint} is set, but OpenTelemetry refuses its settings: {error}")
        yield ()
        return
    try:
        yield (listener,)
    finally:
        listener.close()
        thread = threading.Thread(target=shut_down, name="cobbler-spans", daemon=True)
        thread.start()
        thread.join(_PATIENCE)


def _open(generation: str) -> tuple[SpanListener, Callable[[], None]]:
    import logging

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from pytest_cobbler.telemetry import SpanListener

    # What it logs in its threads would stand between the lines of pytest, or in the report of some item.
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "pytest-cobbler"}
    provider = TracerProvider(resource=Resource.create(name), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return SpanListener(provider.get_tracer("pytest-cobbler"), generation), provider.shutdown

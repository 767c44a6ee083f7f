"""An API on loopback with scripted answers, for runs of the real claude program, and of others.

    with ScriptedApi() as api:
        api.script(
            "Write the parser",
            [turn(tool("Write", file_path="parser.py", content="")), turn(text("Done."))],
            [turn(text("Nothing was left to do."))],
        )
        run_claude(api.environment)

The first conversation belongs to the first run of claude whose prompt contains ``Write the parser``, the
second to the next such run (another attempt, also one that goes on with the session of the first), and the
last to all after that. So any number of agents can
work concurrently, each with its own lines. Every request takes one turn of its conversation; if none is
left, or no script fits the prompt, claude gets an error.

Programs that speak the formats of OpenAI or Google get the same answers in these (``scripted_wires``).
"""

from __future__ import annotations

import json
import re
import select
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeAlias, cast

from tests.support.scripted_wires import Format, format_of

__all__ = [
    "API_KEY",
    "Request",
    "ScriptedApi",
    "Turn",
    "always",
    "beginning",
    "common",
    "error",
    "hang",
    "raw",
    "text",
    "thinking",
    "tool",
    "turn",
]

API_KEY = "sk-ant-api03-scripted-Zm9vYmFyYmF6cXV4"
"""A credential; the scripted API accepts any."""

Block: TypeAlias = dict[str, Any]

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_USAGE = {
    "input_tokens": 100,
    "cache_creation_input_tokens": 2000,
    "cache_read_input_tokens": 3000,
    "output_tokens": 50,
    "service_tier": "standard",
}
GOES_ON = "Your task and its rules are as before."
"""In the message with which pytest-cobbler goes on with an earlier session."""

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One answer; made by ``turn``, ``error``, ``hang`` and ``raw``."""

    content: tuple[Block, ...] = ()
    stop_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    pace: float = 0.0
    cut: int | None = None
    stall: int | None = None
    hangs: bool = False
    body: bytes | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    repeats: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """What claude sent: ``prompt`` is the user's first message, or the one with which an earlier session goes
    on; ``turn`` is the request's number in its run."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    session_id: str
    prompt: str
    turn: int

    @property
    def tool_results(self) -> list[str]:
        """Text of the tool results in the last message."""
        messages = self.body.get("messages") or [{}]
        blocks = messages[-1].get("content")
        blocks = blocks if isinstance(blocks, list) else []
        return [_flat(block.get("content")) for block in blocks if block.get("type") == "tool_result"]


Line: TypeAlias = Turn | Callable[[Request], Turn]
"""A turn, or a function that makes one when it is due; the function may block until the test continues."""


def text(words: str) -> Block:
    return {"type": "text", "text": words}


def thinking(words: str) -> Block:
    return {"type": "thinking", "thinking": words}


def tool(name: str, **arguments: Any) -> Block:
    """A call of claude's tool ``name``: ``Write(file_path, content)``, ``Bash(command)``, ``Edit(...)``."""
    return {"type": "tool_use", "name": name, "input": arguments}


def turn(
    *content: Block,
    stop_reason: str | None = None,
    usage: Mapping[str, Any] | None = None,
    delay: float = 0.0,
    pace: float = 0.0,
    cut: int | None = None,
    stall: int | None = None,
) -> Turn:
    """A message of the model.

    Args:
        delay: seconds before the answer begins.
        pace: seconds between two events of it.
        cut: number of events after which the connection breaks.
        stall: number of events after which nothing more comes.
    """
    return Turn(
        content=content,
        stop_reason=stop_reason,
        usage=usage or {},
        delay=delay,
        pace=pace,
        cut=cut,
        stall=stall,
    )


def error(
    status: int, message: str = "", *, kind: str | None = None, headers: Mapping[str, str] | None = None
) -> Turn:
    """An error of the API, such as 401, 429 or 529."""
    kind = kind or _ERROR_TYPES.get(status, "api_error")
    answer = {"type": "error", "error": {"type": kind, "message": message or kind}, "request_id": "req_0"}
    return Turn(
        status=status,
        body=json.dumps(answer).encode(),
        headers={"Content-Type": "application/json"} | dict(headers or {}),
    )


def raw(body: str, *, status: int = 200, content_type: str = "text/html") -> Turn:
    """Arbitrary content, such as the error page of a proxy."""
    return Turn(status=status, body=body.encode(), headers={"Content-Type": content_type})


def hang() -> Turn:
    """No answer, on an open connection."""
    return Turn(hangs=True)


def always(line: Turn) -> Turn:
    """``line``, for this request and all that follow in its run."""
    return replace(line, repeats=True)


class _Run:
    """One run of claude on its way through a conversation."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = list(lines)
        self.turns = 0

    def next_line(self) -> Line:
        position, self.turns = self.turns, self.turns + 1
        last = self._lines[-1] if self._lines else None
        if position < len(self._lines):
            return self._lines[position]
        if isinstance(last, Turn) and last.repeats:
            return last
        return error(400, f"the script has no turn {position + 1}")


@dataclass
class _Script:
    match: str
    conversations: tuple[Sequence[Line], ...]
    used: int = 0

    def next_run(self) -> _Run:
        lines = self.conversations[min(self.used, len(self.conversations) - 1)]
        self.used += 1
        return _Run(lines)


class ScriptedApi:
    """The server; a context manager. Thread-safe.

    Args:
        caches: a request costs as if the longest beginning that it shares with an earlier one was cached, as
            far as a part that the earlier one had marked.
    """

    def __init__(self, host: str = "127.0.0.1", *, caches: bool = False) -> None:
        self.requests: list[Request] = []
        self.answered: list[Mapping[str, Any]] = []
        """The usage of each whole answer."""
        self._cache = _Cache() if caches else None
        self.failures: list[BaseException] = []
        """Errors in the server itself."""
        self.stopping = threading.Event()
        self._scripts: list[_Script] = []
        self._runs: dict[tuple[str, int], _Run] = {}
        self._lock = threading.Lock()
        self._server = _Server((host, 0), _Handler)
        self._server.api = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> ScriptedApi:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def vanish(self, seconds: float) -> None:
        """Refuse connections for a while, as if the network was lost."""
        address = self._server.server_address
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if not self.stopping.wait(seconds):
            self._serve(cast(tuple[str, int], address))

    def _serve(self, address: tuple[str, int]) -> None:
        self._server = _Server(address, _Handler)
        self._server.api = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """The environment for claude to use this server, and to give up soon after errors."""
        return {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": API_KEY,
            "CLAUDE_CODE_MAX_RETRIES": "1",
        }

    def script(self, match: str, *conversations: Sequence[Line]) -> ScriptedApi:
        """Set the answers for runs whose prompt contains ``match``; the first of several matches is used."""
        with self._lock:
            self._scripts.append(_Script(match, conversations or ([],)))
        return self

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Turn:
        """The next turn for a request of a message."""
        form = format_of(path)
        prompts = _prompts({"messages": form.messages(body)} if form else body)
        # Without one of these (other clients) the prompt identifies the run.
        named = headers.get("X-Claude-Code-Session-Id") or body.get("prompt_cache_key")
        session_id = str(named or prompts[0])
        with self._lock:
            run = self._run(session_id, prompts)
            request = Request(
                method=method,
                path=path,
                headers=headers,
                body=body,
                session_id=session_id,
                prompt=prompts[-1],
                turn=run.turns + 1 if run else 0,
            )
            self.requests.append(request)
            line = run.next_line() if run else error(400, "no script fits the prompt")
        return line if isinstance(line, Turn) else line(request)

    def _run(self, session_id: str, prompts: Sequence[str]) -> _Run | None:
        key = session_id, len(prompts)
        if key not in self._runs:
            script = next((script for script in self._scripts if script.match in prompts[0]), None)
            if script is None:
                return None
            self._runs[key] = script.next_run()
        return self._runs[key]

    def usage_of(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The usage of an answer to a request, if the turn has none of its own."""
        if self._cache is None:
            return dict(_USAGE)
        with self._lock:
            return _USAGE | self._cache.take(body)


class _Cache:
    """The beginnings of earlier requests, as far as each marked part. Four characters are a token."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def take(self, body: Mapping[str, Any]) -> dict[str, int]:
        """The tokens of the input of a request, which are cached from now on as far as its last mark."""
        text, marked = "", []
        for part in _in_order(body):
            text += json.dumps(_unmarked(part)) + "\n"
            if "cache_control" in part:
                marked.append(text)
        shared = max((len(beginning) for beginning in self._known if text.startswith(beginning)), default=0)
        self._known.update(marked)
        cached = len(marked[-1]) if marked else 0
        return {
            "input_tokens": (len(text) - max(cached, shared)) // 4,
            "cache_creation_input_tokens": max(0, cached - shared) // 4,
            "cache_read_input_tokens": shared // 4,
        }


def _in_order(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts that can be marked, in the order in which the API caches them."""
    system = body.get("system") or []
    yield from body.get("tools") or ()
    yield from system if isinstance(system, list) else [{"text": system}]
    for message in body.get("messages") or ():
        content = message["content"]
        for block in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            yield {"role": message["role"], **block}


def beginning(body: Mapping[str, Any]) -> str:
    """What the API caches of a request, in its order: tools, system prompt, messages."""
    parts = [*(body.get("tools") or ()), body.get("system"), *(body.get("messages") or ())]
    return "\n".join(json.dumps(_unmarked(part)) for part in parts)


def _unmarked(value: Any) -> Any:
    """``value`` without the marks of cached parts, which move from request to request."""
    if isinstance(value, dict):
        return {key: _unmarked(inner) for key, inner in value.items() if key != "cache_control"}
    return [_unmarked(inner) for inner in value] if isinstance(value, list) else value


def common(one: str, other: str) -> int:
    """The length of the common beginning."""
    if one.startswith(other) or other.startswith(one):
        return min(len(one), len(other))
    return next(place for place, (left, right) in enumerate(zip(one, other, strict=False)) if left != right)


def _prompts(body: Mapping[str, Any]) -> list[str]:
    """The user's own texts: the first one, and those with which the session went on.

    Without claude's reminders, which name files and commits.
    """
    prompts: list[str] = []
    for message in body.get("messages") or ():
        if message.get("role") == "user":
            words = _REMINDER.sub("", _flat(message.get("content"))).strip()
            if words and (not prompts or GOES_ON in words):
                prompts.append(words)
    return prompts or [""]


def _flat(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(block.get("text", "")) for block in blocks)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    api: ScriptedApi

    def handle_error(self, _request: object, _client_address: object) -> None:
        failure = sys.exception()
        if failure is not None and not isinstance(failure, ConnectionError):
            self.api.failures.append(failure)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def api(self) -> ScriptedApi:
        return cast(_Server, self.server).api

    @property
    def _format(self) -> Format | None:
        return format_of(self.path.split("?")[0])

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._send(200, b"", {})

    def do_GET(self) -> None:
        self._send_json({"data": [], "has_more": False, "first_id": None, "last_id": None})

    def do_POST(self) -> None:
        body = json.loads(self._body() or b"{}")
        path = self.path.split("?")[0]
        if path == "/v1/messages/count_tokens":
            self._send_json({"input_tokens": 1234})
        elif not body.get("tools") and not self._format:  # a side call, for a title or the like
            self._play(turn(text("{}")), body)
        else:
            self._play(self.api.answer("POST", path, dict(self.headers), body), body)

    def _body(self) -> bytes:
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _send_json(self, answer: Mapping[str, Any]) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _play(self, line: Turn, body: Mapping[str, Any]) -> None:
        self.api.stopping.wait(line.delay)
        if line.hangs:
            self._hold()
        elif line.body is not None:
            self._send(line.status, self._error(line) or line.body, line.headers)
        elif self._format.streams(self.path, body) if self._format else body.get("stream"):
            self._stream(line, self._message(line, body), body)
        elif line.cut is not None or line.stall is not None:
            self.close_connection = True  # a server that breaks streams breaks this too
        else:
            message = self._message(line, body)
            self._send_json(self._format.whole(message) if self._format else message)
            self.api.answered.append(message["usage"])

    def _message(self, line: Turn, body: Mapping[str, Any]) -> dict[str, Any]:
        model = re.search(r"/models/([^:]+):", self.path)
        named = {"model": model[1]} if model else body
        return _message(line, named, self.api.usage_of(body) | dict(line.usage))

    def _error(self, line: Turn) -> bytes:
        """An error in the format of the request; empty if that is the one of the Messages API."""
        said = json.loads(line.body) if line.body and line.body.startswith(b'{"type": "error"') else {}
        if not said or not self._format:
            return b""
        return json.dumps(self._format.error(line.status, said["error"]["message"])).encode()

    def _stream(self, line: Turn, message: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        form = self._format
        for number, event in enumerate(form.events(message, body) if form else _events(message)):
            if number == line.cut:
                self.close_connection = True
                return
            if number == line.stall:
                self._hold()
                return
            name = f"event: {event['type']}\n" if "type" in event else ""
            self._chunk(f"{name}data: {json.dumps(event)}\n\n".encode())
            self.api.stopping.wait(line.pace)
        if form and form.end():
            self._chunk(form.end())
        self.wfile.write(b"0\r\n\r\n")
        self.api.answered.append(message["usage"])

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _hold(self) -> None:
        """Keep the connection open and silent until the other side closes it."""
        self.close_connection = True
        while not self.api.stopping.is_set():
            if select.select([self.connection], [], [], 0.1)[0]:
                return


def _message(line: Turn, body: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
    content = [_with_id(block) for block in line.content]
    calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{uuid.uuid4().hex[:20]}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": content,
        "stop_reason": line.stop_reason or ("tool_use" if calls else "end_turn"),
        "stop_sequence": None,
        "usage": usage,
    }


def _with_id(block: Block) -> Block:
    return block | {"id": f"toolu_{uuid.uuid4().hex[:20]}"} if block["type"] == "tool_use" else block


def _events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    beginning: dict[str, Any] = {
        "content": [],
        "stop_reason": None,
        "usage": {**message["usage"], "output_tokens": 1},
    }
    yield {"type": "message_start", "message": {**message, **beginning}}
    for index, block in enumerate(message["content"]):
        empty, deltas = _pieces(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
        "usage": message["usage"],
    }
    yield {"type": "message_stop"}


def _pieces(block: Block) -> tuple[Block, list[dict[str, str]]]:
    """The first event of a block, and the events that extend it."""
    match block["type"]:
        case "text":
            return block | {"text": ""}, [
                {"type": "text_delta", "text": part} for part in _parts(block["text"])
            ]
        case "thinking":
            return block | {"thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": "c2lnbmVk"},
            ]
        case _:
            return block | {"input": {}}, [
                {"type": "input_json_delta", "partial_json": part}
                for part in _parts(json.dumps(block["input"]))
            ]


def _parts(words: str, size: int = 40) -> list[str]:
    return [words[start : start + size] for start in range(0, len(words), size)]

"""The first process of a pod's container for jobs, and what connects it with the carrier beside it.

The carrier is the container that has the node's half. The two share two FIFOs for the outputs and one, the
lifeline, for what the first process reads: when the carrier ends, for any reason, so does the job. Once both
have opened the FIFOs, the carrier removes their names, so that nothing else can open them.

A job is the lifeline of any container (``lifeline.SCRIPT``). When a job has ended and all of its processes
are killed, the first process becomes a new shell, and waits for the next job of the same place.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from pytest_cobbler.sandbox import lifeline

__all__ = ["FIFOS", "FIRST", "LINK", "RELAY", "WAITS", "arguments", "ending_word", "next_job"]

LINK: Final = "/cobbler/link/now"
"""The directory with the FIFOs; for the job's container it is read-only.

It is below a volume, whose own directory lets no one remove what root has made.
"""
FIFOS: Final = ("in", "out", "err")
WAITS: Final = "cobbler waits"

# Facts behind it:
# * Only the carrier writes what it reads, and what it reads are whole lines: the status of the last job's
#   keeper, or a request to end, may come before the next job.
# * The copy of the shell (lifeline.OPENING) can only be made where none is. A job may have left something
#   there that cannot be removed; no further job may begin then.
# * It says that it waits by the word that ended the last job: no process of a job can read it any more.
# * The error output is opened again: a job can make its own description of a pipe non-blocking.
_LOOP: Final = r"""
if (: >/proc/self/fd/2) 2>/dev/null; then exec 2>/proc/self/fd/2; fi
rm -rf SHELL/* SHELL/.[!.]* /tmp/* /tmp/.[!.]* /tmp/..?* /dev/shm/* /dev/shm/.[!.]* /dev/shm/..?* 2>/dev/null
[ ! -e SHELL/sh ] || exit 1
cd / && printf '%s\n' "$0" >&2
while read -r cobbler_word cobbler_size; do [ "$cobbler_word" != next ] || break; done
[ "$cobbler_word" = next ] || exit 0
eval "$(dd bs="$cobbler_size" count=1 iflag=fullblock 2>/dev/null)"
""".replace("SHELL", lifeline.SHELL)

FIRST: Final = f"exec <{LINK}/in >{LINK}/out 2>{LINK}/err; exec sh -c {shlex.quote(_LOOP)} '{WAITS}'"
"""The first command of the container, for ``sh -c``."""

# In the shell of lifeline.SCRIPT. cobbler_over came by the pipe, and no process of a job knows it before all
# are killed. Without it the job's environment did not arrive.
_OVER: Final = f"""
cobbler_end() {{
  trap - EXIT
  kill -KILL -1
  [ "$cobbler_over" ] || exit 1
  printf %s "$cobbler_over" >&6
  exec sh -c {shlex.quote(_LOOP)} "$cobbler_over" >&6 2>&4 4>&- 6>&-
}}
trap cobbler_end EXIT
"""

# The signal comes when someone deletes the pod: the job would end as if by itself, and its attempt count.
_TERM: Final = "trap 'cobbler_woken=1; kill -TERM -1' TERM\n"

# What carries a job's streams for ``process.run``: it ends when both outputs have said that the job is over.
# TERM becomes the word that the lifeline reads, and two seconds later the word that ends the job.
RELAY: Final = r"""
import os, signal, sys, threading, time
into, out, err, over = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
lock = threading.Lock()
def write(target, data):
    view = memoryview(data)
    while view:
        view = view[os.write(target, view):]
def say(data):
    with lock:
        write(into, data)
def feed():
    while data := os.read(0, 65536):
        say(data)
def end():
    say(b"TERM\n")
    time.sleep(2)
    say(b"137\n")
def copy(source, target):
    held = b""
    while data := os.read(source, 65536):
        text, found, _ = (held + data).partition(over)
        if found:
            write(target, text)
            return
        kept = min(len(text), len(over) - 1)
        while kept and not over.startswith(text[len(text) - kept:]):
            kept -= 1
        held = text[len(text) - kept:]
        write(target, text[:len(text) - kept])
    write(target, held)
    os._exit(1)
def start(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
signal.signal(signal.SIGTERM, lambda *_: start(end))
start(feed)
other = start(copy, out, 1)
copy(err, 2)
other.join()
os._exit(0)
"""


def ending_word(over: str) -> bytes:
    """What is added to the lifeline's header, so that the first process ends a job with ``over``."""
    return f"cobbler_over={shlex.quote(over)}\n".encode()


def arguments(tokens: lifeline.Tokens, header: bytes, stdin: bytes, argv: Sequence[str]) -> list[str]:
    """The arguments of ``sh`` for one job of the container."""
    words = lifeline.arguments(tokens, header, stdin, argv)
    assert _TERM in lifeline.SCRIPT
    script = _OVER + lifeline.SCRIPT.replace(_TERM, "")
    return [script if word is lifeline.SCRIPT else word for word in words]


def next_job(workdir: str, words: Sequence[str]) -> bytes:
    """What the first process reads before the header of a job; ``words`` are the arguments of ``sh``."""
    text = f"cd {shlex.quote(workdir)} && exec sh {shlex.join(words)}\n".encode("utf-8", "surrogateescape")
    return f"next {len(text)}\n".encode() + text

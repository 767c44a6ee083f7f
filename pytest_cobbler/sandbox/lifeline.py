"""The first process of a container: it ends the container when pytest does, however pytest ends.

It is ``sh`` running :data:`SCRIPT`. Its stdin is a pipe that the host keeps open: first the environment as
shell text, then the stdin of the job, then nothing until the host is gone. So neither the environment nor the
prompt is on a command line, in podman's database or on a disk, and when the host's end closes, by whatever
death, everything in the container is killed.

What it has to say goes to stderr in lines that begin with a token which the host made up.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pytest_cobbler.errors import SandboxError

__all__ = ["HOME", "REQUIRED", "VIOLENT_ENDS", "Words", "arguments", "opening"]

HOME: Final = "/tmp/home"
"""Home directory of jobs, made by the lifeline on a tmpfs."""

REQUIRED: Final = ("sh", "dd", "cat", "mkdir", "rm")
"""The programs that an image needs for the lifeline."""

VIOLENT_ENDS: Final = frozenset({137, 250, 255})
"""Exit statuses without a last word: SIGKILL, the pipe closed or its watcher killed, podman's own timeout."""

_BLOCK: Final = 65536

# Written for dash, bash and busybox. Why it is as it is:
# * dd with fullblock reads exactly what it is told; head -c of busybox reads ahead and loses the rest.
# * Background commands of a shell read /dev/null unless they are redirected from another descriptor: 3.
# * The process that watches the pipe must outlive the TERM that is passed on, so it ignores it.
# * PID 1 waits for the watcher, not for the job: a job that kills the watcher ends its own container.
# * kill -1 reaches everything but PID 1, also what has left the job's process group.
SCRIPT: Final = r"""
cobbler_token=$1 cobbler_header=$2 cobbler_blocks=$3 cobbler_rest=$4 cobbler_keep=/dev/shm
shift 4
cobbler_say() { printf '%s %s\n' "$cobbler_token" "$*" >&2; }
cobbler_take() { dd bs="$1" count="$2" iflag=fullblock 2>/dev/null; }
cobbler_fail() { cobbler_say failed "$*"; exit 1; }
cobbler_say started
for cobbler_program in dd cat mkdir rm; do
  command -v $cobbler_program >/dev/null || { cobbler_say lacks $cobbler_program; exit 127; }
done
eval "$(cobbler_take "$cobbler_header" 1)"
[ "$cobbler_ready" = "$cobbler_token" ] || cobbler_fail its environment did not arrive
mkdir -p "$HOME"
{
  { [ "$cobbler_blocks" = 0 ] || cobbler_take BLOCK "$cobbler_blocks"; } &&
  { [ "$cobbler_rest" = 0 ] || cobbler_take "$cobbler_rest" 1; }
} >$cobbler_keep/cobbler-stdin || cobbler_fail its stdin does not fit into $cobbler_keep
exec 3<&0 <$cobbler_keep/cobbler-stdin
rm $cobbler_keep/cobbler-stdin
command -v "$1" >/dev/null || { cobbler_say missing; exit 127; }
(trap '' TERM; exec cat <&3 >/dev/null 2>&1) &
cobbler_watcher=$!
exec 4<&0
(
  trap : TERM
  (trap - TERM; exec "$@" <&4 3<&- 4<&-)
  echo $? >$cobbler_keep/cobbler-status
  kill -s KILL $cobbler_watcher
) &
trap 'kill -TERM -1' TERM
while wait $cobbler_watcher 2>/dev/null; [ $? = 143 ]; do :; done
read -r cobbler_status 2>/dev/null <$cobbler_keep/cobbler-status || exit 250
cobbler_say ended "$cobbler_status"
exit "$cobbler_status"
""".replace("BLOCK", str(_BLOCK))

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN_BY_SHELLS = frozenset({"UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO"})


def opening(environment: Mapping[str, str], token: str) -> bytes:
    """The shell text that the lifeline evaluates first.

    Raises:
        SandboxError: a name is none that a shell can export, or a value holds a NUL.
    """
    for name, value in environment.items():
        if not _NAME.fullmatch(name) or name in _TAKEN_BY_SHELLS or name.startswith("cobbler_"):
            raise SandboxError(f"{name!r} cannot be the name of an environment variable in a container")
        if "\0" in value:
            raise SandboxError(f"the value of the environment variable {name} holds a NUL character")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return "\n".join([*lines, f"cobbler_ready={shlex.quote(token)}", ""]).encode("utf-8", "surrogateescape")


def arguments(token: str, header: bytes, stdin: bytes, argv: Sequence[str]) -> list[str]:
    """What follows the image when ``sh`` is the entrypoint."""
    blocks, rest = divmod(len(stdin), _BLOCK)
    return ["-c", SCRIPT, "cobbler", token, str(len(header)), str(blocks), str(rest), *argv]


class Words:
    """Tells the lifeline's words in a stream of stderr lines from everybody else's.

    Lines before ``started`` are podman's own and end up in ``before``; later ones go to ``on_line``.
    """

    def __init__(self, token: str, on_line: Callable[[bytes], None]) -> None:
        self.token = token
        self._mark = token.encode() + b" "
        self._on_line = on_line
        self.before: list[bytes] = []
        self.started = False
        self.missing = False
        self.lacks = ""
        self.failure = ""
        self.status: int | None = None
        """Exit status of the job; ``None`` if the lifeline did not live to say it."""

    def __call__(self, line: bytes) -> None:
        # The job may have ended without a newline: then the word is the end of its last line.
        text, found, word = line.partition(self._mark)
        if not found:
            self._pass_on(line)
            return
        if text:
            self._pass_on(text)
        self._hear(word.decode("utf-8", "replace"))

    def _pass_on(self, line: bytes) -> None:
        if self.started:
            self._on_line(line)
        else:
            self.before.append(line)

    def _hear(self, word: str) -> None:
        match word.split():
            case ["started"]:
                self.started = True
            case ["missing"]:
                self.missing = True
            case ["lacks", program]:
                self.lacks = program
            case ["failed", *why]:
                self.failure = " ".join(why)
            case ["ended", status] if status.isdigit():
                self.status = int(status)

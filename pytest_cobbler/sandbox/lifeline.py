"""The first process of a container: it ends the container when pytest does, however pytest ends.

It is ``sh`` running :data:`SCRIPT`. Its stdin is a pipe that the host keeps open. The pipe carries the
environment as shell text, then the stdin of the job, then nothing. So neither the environment nor the prompt
is on a command line, in podman's database or on a disk. When the host's end closes, for any reason,
everything in the container is killed.

Its messages are lines on stderr that begin with a random token of the host. Once a job may run, they begin
with a second token, which only the two ends of the pipe know.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pytest_cobbler.errors import SandboxError

__all__ = ["HOME", "REQUIRED", "VIOLENT_ENDS", "Words", "arguments", "exports", "opening"]

HOME: Final = "/tmp/home"
"""Home directory of jobs, made by the lifeline on a tmpfs."""

REQUIRED: Final = ("sh", "dd", "cat", "mkdir", "mkfifo", "rm")
"""The programs that an image needs for the lifeline."""

VIOLENT_ENDS: Final = frozenset({137, 255})
"""Exit statuses without a last message: SIGKILL, podman's own timeout."""

_BLOCK: Final = 65536

# Written for dash, bash and busybox. Facts behind it:
# * dd with fullblock reads exactly as many bytes as given; head -c of busybox reads ahead and loses the rest.
# * Stdin that does not fit is read nevertheless: else podman may lose the last messages.
# * Background commands of a shell read /dev/null unless they are redirected from another descriptor: 3.
# * The process that watches the pipe must outlive the TERM that podman passes on, so it ignores TERM.
# * PID 1 waits for the watcher, not for the job: a job that kills the watcher ends its own container.
# * The watcher ends with the keeper, the only process that has the FIFO open for writing. The job's status is
#   the keeper's: PID 1 has it from the kernel, and the job cannot write it.
# * kill -1 reaches every process except PID 1, also those that left the job's process group.
# * The message that a job may run begins with a token that came by the pipe: a job can read command lines.
SCRIPT: Final = r"""
cobbler_token=$1 cobbler_header=$2 cobbler_blocks=$3 cobbler_rest=$4 cobbler_keep=/dev/shm
shift 4
cobbler_say() { printf '%s %s\n' "$cobbler_token" "$*" >&2; }
cobbler_take() { dd bs="$1" count="$2" iflag=fullblock 2>/dev/null; }
cobbler_fail() { cobbler_say failed "$*"; exit 1; }
cobbler_say started
for cobbler_program in dd cat mkdir mkfifo rm; do
  command -v $cobbler_program >/dev/null || { cobbler_say lacks $cobbler_program; exit 127; }
done
eval "$(cobbler_take "$cobbler_header" 1)"
[ "$cobbler_ready" ] || cobbler_fail its environment did not arrive
mkdir -p "$HOME"
{
  { [ "$cobbler_blocks" = 0 ] || cobbler_take BLOCK "$cobbler_blocks"; } &&
  { [ "$cobbler_rest" = 0 ] || cobbler_take "$cobbler_rest" 1; }
} | { cat >$cobbler_keep/cobbler-stdin || { cat >/dev/null; false; }; } ||
  cobbler_fail its stdin does not fit into $cobbler_keep
exec 3<&0 <$cobbler_keep/cobbler-stdin
rm $cobbler_keep/cobbler-stdin
command -v "$1" >/dev/null || { cobbler_say missing; exit 127; }
mkfifo $cobbler_keep/cobbler-keeper || cobbler_fail there is no room in $cobbler_keep
cobbler_token=$cobbler_ready
cobbler_say ready
(trap '' TERM; exec cat <&3 >/dev/null 2>&1) &
cobbler_watcher=$!
(trap '' TERM; cat <$cobbler_keep/cobbler-keeper; kill -s KILL $cobbler_watcher) >/dev/null 2>&1 3<&- &
exec 4<&0
(
  exec 5>$cobbler_keep/cobbler-keeper
  rm $cobbler_keep/cobbler-keeper
  trap : TERM
  (trap - TERM; exec "$@" <&4 3<&- 4<&- 5>&-)
  exit $?
) &
cobbler_keeper=$!
trap 'kill -TERM -1' TERM
while wait $cobbler_watcher 2>/dev/null; [ $? = 143 ]; do :; done
trap '' TERM
kill -KILL -1 2>/dev/null
wait $cobbler_keeper 2>/dev/null
cobbler_status=$?
cobbler_say ended $cobbler_status
exit $cobbler_status
""".replace("BLOCK", str(_BLOCK))

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN_BY_SHELLS = frozenset({"UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO"})


def opening(environment: Mapping[str, str], secret: str) -> bytes:
    """The shell text that the lifeline evaluates first; ``secret`` is the token of :class:`Words` for later.

    Raises:
        SandboxError: a shell cannot export one of the names, or a value contains a NUL.
    """
    lines = [*exports(environment), f"cobbler_ready={shlex.quote(secret)}", ""]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def exports(environment: Mapping[str, str]) -> list[str]:
    """The shell commands that set ``environment``.

    Raises:
        SandboxError: a shell cannot export one of the names, or a value contains a NUL.
    """
    for name, value in environment.items():
        if not _NAME.fullmatch(name) or name in _TAKEN_BY_SHELLS or name.startswith("cobbler_"):
            raise SandboxError(f"{name!r} cannot be an environment variable in a container")
        if "\0" in value:
            raise SandboxError(f"the environment variable {name} contains a NUL character")
    return [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]


def arguments(token: str, header: bytes, stdin: bytes, argv: Sequence[str]) -> list[str]:
    """The arguments after the image; ``sh`` is the entrypoint."""
    blocks, rest = divmod(len(stdin), _BLOCK)
    return ["-c", SCRIPT, "cobbler", token, str(len(header)), str(blocks), str(rest), *argv]


class Words:
    """Separates the lifeline's messages in a stream of stderr lines from all other lines.

    Lines before ``started`` are podman's own and go to ``before``; later ones go to ``on_line``.

    Args:
        token: the messages begin with it until a job may run; it is on a command line.
        secret: the messages begin with it from ``ready`` on.
        on_line: takes the lines of the job.
    """

    def __init__(self, token: str, secret: str, on_line: Callable[[bytes], None]) -> None:
        self.token = token
        self.secret = secret
        self._on_line = on_line
        self.before: list[bytes] = []
        self.started = False
        self.ready = False
        self.missing = False
        self.lacks = ""
        self.failure = ""
        self.status: int | None = None
        """Exit status of the job; ``None`` if the lifeline was killed before it could report it."""

    def __call__(self, line: bytes) -> None:
        # The job may have ended without a newline: then the message is the end of its last line.
        text, token, word = line.rpartition(self.secret.encode() + b" ")
        if not token and not self.ready:
            text, token, word = line.rpartition(self.token.encode() + b" ")
        if not token:
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
            case ["ready"]:
                self.ready = True
            case ["missing"]:
                self.missing = True
            case ["lacks", program]:
                self.lacks = program
            case ["failed", *why]:
                self.failure = " ".join(why)
            case ["ended", status] if status.isdigit():
                self.status = int(status)

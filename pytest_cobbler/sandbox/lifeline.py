"""The first process of a container: it ends the container when pytest does, however pytest ends.

It is ``sh`` running :data:`SCRIPT`. Its stdin is a pipe that the host keeps open. The pipe carries the
environment as shell text, then the stdin of the job, then nothing. So neither the environment nor the prompt
is on a command line, in podman's database or on a disk. When the host's end closes, for any reason,
everything in the container is killed.

A job has the uid of the first process, so it could write to its memory. :data:`OPENING` prevents that: it
runs :data:`SCRIPT` in a copy of the shell that no one may read. The kernel lets no other process of the same
user touch a process whose program its user cannot read: neither its memory nor its descriptors.

Its messages are lines on stderr that begin with a random token of the host. Once a job may run, they begin
with a second token, and the last one with a third. Only the two ends of the pipe know these, and the third is
not written anywhere before all other processes have been killed.

At last it sends the file that the host wants to collect, on stdout and between two of the third tokens. Or it
asks the host, and sends the output of a program of the host's in the same way.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.sandbox.base import Afterwards
from pytest_cobbler.sandbox.collecting import LARGEST, CollectedFile

__all__ = [
    "HOME",
    "KILL",
    "REQUIRED",
    "SHELL",
    "TERM",
    "VIOLENT_ENDS",
    "Tokens",
    "Words",
    "arguments",
    "exports",
    "opening",
]

HOME: Final = "/tmp/home"
"""Home directory of jobs, made by the lifeline on a tmpfs."""

SHELL: Final = "/cobbler/shell"
"""Directory of the unreadable copy of the shell: a tmpfs of the container where programs can run.

Not ``/dev/shm``, where podman lets no program run, and not ``/tmp``, where the user may have mounted a
directory that jobs share: another job could replace the copy before it runs.
"""

REQUIRED: Final = ("sh", "dd", "cat", "chmod", "mkdir", "rm")
"""The programs that an image needs for the lifeline."""

TERM: Final = b"TERM\n"
"""What the host writes into the pipe so that a job ends: a signal would take another process of podman."""

KILL: Final = b"137\n"
"""The same for a job that does not end by TERM."""

VIOLENT_ENDS: Final = frozenset({137, 255})
"""Exit statuses without a last message: SIGKILL, podman's own timeout."""

_BLOCK: Final = 65536

# Facts behind it:
# * A program that its user cannot read runs undumpable if fs.suid_dumpable is 0 or 2. The owner of a file may
#   run it without reading it, and a process without capabilities is bound by the mode of its own file.
# * busybox finds its applet by the name of the program, so the copy is called sh.
# * The copy is tried first: a program that finds its libraries relative to itself cannot be moved.
#   The probe of the preflight reports it.
OPENING: Final = r"""
cobbler_shell=DIRECTORY/sh cobbler_script=$1
shift
{ cat /proc/$$/exe >$cobbler_shell && chmod 0111 $cobbler_shell && $cobbler_shell -c :; } 2>/dev/null ||
  cobbler_shell=sh
exec $cobbler_shell -c "$cobbler_script" cobbler $cobbler_shell "$@"
""".replace("DIRECTORY", SHELL)

_ALONE: Final = r"""
cobbler_spared=" 1 $$ " cobbler_parent=$PPID cobbler_count=0
while [ "$cobbler_parent" -gt 1 ]; do
  cobbler_spared="$cobbler_spared$cobbler_parent "
  read -r _ _ _ cobbler_parent _ </proc/$cobbler_parent/stat || break
done
kill -STOP -1
for cobbler_process in /proc/[0-9]*; do
  cobbler_process=${cobbler_process#/proc/} cobbler_line=
  case $cobbler_spared in *" $cobbler_process "*) kill -CONT "$cobbler_process"; continue ;; esac
  read -r cobbler_line </proc/"$cobbler_process"/cmdline
  [ -z "$cobbler_line" ] || cobbler_count=$((cobbler_count + 1))
  kill -KILL "$cobbler_process"
done 2>/dev/null
"""
"""The shell text in the variable ``COBBLER_ALONE``: a shell ends all processes but itself and those above it.

All are stopped first, by one call of the kernel, so that none can start another one meanwhile. Then
``cobbler_count`` is their number; zombies, which have no command line, do not count.
"""

# Written for dash, bash and busybox. Facts behind it:
# * dd with fullblock reads exactly as many bytes as given; head -c of busybox reads ahead and loses the rest.
# * Stdin that does not fit is read nevertheless: else podman may lose the last messages.
# * Background commands of a shell read /dev/null unless they are redirected from another descriptor: 3, 5.
# * PID 1 itself reads the pipe, because the job can stop any other process with a signal. The kernel keeps
#   signals from PID 1 for which it has no handler.
# * Every process that has the pipe open while the job runs is undumpable: who can open it for writing keeps
#   it from closing.
# * The keeper writes the status of the job into the pipe. It does not only exit, because dash and busybox may
#   begin to read just after the signal of its end. If the job kills it, that signal ends the job; of 120 jobs
#   that killed everything together, dash missed it in 9, and their time limit ended them. bash does
#   not interrupt read for it, so it looks once a second. It has no trap for it: bash 5.2 crashed in 1 of 750
#   jobs when the signal came while it read.
# * dash returns the same status from read at the end of the pipe as after a signal. A job that sends PID 1
#   signals without end could hide the end of the pipe; so PID 1 takes no more of them after a while.
# * The environment of the job is not that of PID 1: its PATH may name programs that an agent wrote.
# * A job may take PID 1 the room for descriptors (prlimit), so nothing is redirected between the job and its
#   end, and a read that fails is the end.
# * kill -1 reaches every process except PID 1, also those that left the job's process group.
# * The messages after the job has begun have tokens that came by the pipe: a job can read command lines.
#   The job can also read the stderr it shares with PID 1, so the last message has a token of its own.
# * The shell of a job (of the gate above all) is undumpable, too: its memory decides on the exit status.
# * A file is collected once no other process can run any more: kill returns before its targets have ended. A
#   process is a zombie as soon as its first thread has ended, so its threads are counted. The status comes
#   first, because a shell may exit when it cannot fork (prlimit).
# * The last message needs no redirection, so stdout of PID 1 is where messages go.
# * A file that is held has no name, and only PID 1 and the job have it open. Their shells are undumpable, so
#   no other process can open it through them; the program that writes it has to see to that itself.
# * Descriptor 6 is stdout, opened again: a job can make its own description of the pipe non-blocking.
# * What runs afterwards has PID 1's environment and not the job's. Its PATH loses every directory that the
#   user of the job can write or owns. Nothing runs if the job could have traced PID 1, or if it has changed
#   PID 1's limits (prlimit), which its children would have as well.
# * The job cannot answer for the host: only PID 1 has the pipe open for reading, and the answer is a token.
#   An old status of the keeper may come before it.
SCRIPT: Final = (
    r"""
cobbler_shell=$1 cobbler_token=$2 cobbler_header=$3 cobbler_blocks=$4 cobbler_rest=$5 cobbler_keep=/dev/shm
shift 5
cobbler_alone='ALONE'
cobbler_say() { printf '%s %s\n' "$cobbler_token" "$*" >&4; }
cobbler_take() { dd bs="$1" count="$2" iflag=fullblock 2>/dev/null; }
cobbler_fail() { cobbler_say failed "$*"; exit 1; }
exec 4>&2
cobbler_say started
for cobbler_program in dd cat chmod mkdir rm; do
  command -v $cobbler_program >/dev/null || { cobbler_say lacks $cobbler_program; exit 127; }
done
cobbler_mkdir=$(command -v mkdir)
eval "$(cobbler_take "$cobbler_header" 1)"
[ "$cobbler_ready" ] || cobbler_fail its environment did not arrive
if (: >/proc/self/fd/1) 2>/dev/null; then exec 6>/proc/self/fd/1; else exec 6>&1; fi
{
  { [ "$cobbler_blocks" = 0 ] || cobbler_take BLOCK "$cobbler_blocks"; } &&
  { [ "$cobbler_rest" = 0 ] || cobbler_take "$cobbler_rest" 1; }
} | { cat >$cobbler_keep/cobbler-stdin || { cat >/dev/null; false; }; } ||
  cobbler_fail its stdin does not fit into $cobbler_keep
exec 3<&0 5<$cobbler_keep/cobbler-stdin
rm $cobbler_keep/cobbler-stdin
[ -z "$cobbler_after" ] || cobbler_limits=$(cat /proc/1/limits)
if [ "$cobbler_held" ]; then
  exec 7<>$cobbler_keep/cobbler-report
  rm $cobbler_keep/cobbler-report
fi
(
  eval "$cobbler_environment"
  "$cobbler_mkdir" -p "$HOME" <&5
  command -v "$1" >/dev/null
) || { cobbler_say missing; exit 127; }
cobbler_token=$cobbler_ready
cobbler_say ready
cobbler_token=$cobbler_last cobbler_wakes=1000 cobbler_patience=
exec 2>/dev/null
(
  trap : TERM
  (
    trap - TERM
    eval "$cobbler_environment"
    export COBBLER_ALONE="$cobbler_alone"
    [ -z "$cobbler_held" ] || export COBBLER_REPORT=/proc/self/fd/7
    exec <&5 2>&4 3<&- 4>&- 5<&- 6>&-
    if [ "$1" = sh ]; then shift; exec "$cobbler_shell" "$@"; fi
    exec "$@"
  )
  cobbler_status=$?
  echo $cobbler_status >/proc/self/fd/3
  exit $cobbler_status
) &
cobbler_keeper=$!
exec 3<&- 5<&- >&4
trap 'cobbler_woken=1; kill -TERM -1' TERM
if [ "$BASH_VERSION" ]; then cobbler_patience='-t 1'; else trap cobbler_woken=1 CHLD; fi
cobbler_lives() { read -r _ _ cobbler_state _ </proc/$cobbler_keeper/stat && [ "$cobbler_state" != Z ]; }
while
  cobbler_woken=
  read -r $cobbler_patience cobbler_status
  cobbler_end=$?
  [ $cobbler_end -gt 128 ] || [ "$cobbler_end${cobbler_woken:-0}" = 11 ] || [ "$cobbler_status" = TERM ]
do
  cobbler_lives || break
  [ "$cobbler_status" != TERM ] || kill -TERM -1
  [ "$cobbler_woken" ] && cobbler_wakes=$((cobbler_wakes - 1))
  [ $cobbler_wakes -gt 0 ] || trap - CHLD TERM
done
trap - CHLD TERM
kill -KILL -1
[ "$cobbler_status" ] || { wait $cobbler_keeper; cobbler_status=$?; }
printf '%s ended %s\n' "$cobbler_token" $cobbler_status
[ "$cobbler_name$cobbler_after" ] || exit $cobbler_status
cobbler_runs() {
  cobbler_state= cobbler_threads=
  while read -r cobbler_key cobbler_value cobbler_more; do
    case $cobbler_key in
      State:) cobbler_state=$cobbler_value ;;
      Threads:) cobbler_threads=$cobbler_value ;;
    esac
  done <$1/status
  case $cobbler_state$cobbler_threads in Z[01] | X*) return 1 ;; esac
  [ -d $1 ]
}
cobbler_others() {
  cobbler_first=
  for cobbler_process in /proc/[0-9]*; do
    if [ "$cobbler_process" = /proc/1 ]; then cobbler_first=1
    elif cobbler_runs "$cobbler_process"; then return 0
    fi
  done
  [ ! "$cobbler_first" ]
}
cobbler_tries=5000
while cobbler_others; do
  cobbler_tries=$((cobbler_tries - 1))
  [ $cobbler_tries -gt 0 ] || exit $cobbler_status
  kill -KILL -1
done
if [ "$cobbler_after" ]; then
  case $cobbler_shell in /*) ;; *) exit $cobbler_status ;; esac
  [ ! -O /proc/1/environ ] && [ "$(cat /proc/1/limits)" = "$cobbler_limits" ] || exit $cobbler_status
  printf '%s alone\n' "$cobbler_token"
  while read -r cobbler_word; do
    case $cobbler_word in "$cobbler_last") break ;; no) exit $cobbler_status ;; esac
  done
  [ "$cobbler_word" = "$cobbler_last" ] || exit $cobbler_status
  cobbler_path=
  while [ "$PATH" ]; do
    cobbler_place=${PATH%%:*}
    case $PATH in *:*) PATH=${PATH#*:} ;; *) PATH= ;; esac
    case $cobbler_place in /*) ;; *) continue ;; esac
    [ -w "$cobbler_place" ] || [ -O "$cobbler_place" ] || cobbler_path=$cobbler_path:$cobbler_place
  done
  PATH=${cobbler_path#:}
  exec 3<&0
  (
    printf %s "$cobbler_last" >&6
    (
      exec </dev/null 1>&6 2>/dev/null 3<&- 4>&- 6>&-
      eval "$cobbler_after"
    )
    cobbler_status=$?
    printf %s "$cobbler_last" >&6
    printf '%s %s\n' "$cobbler_last" $cobbler_status >/proc/self/fd/3
  ) &
  exec 3<&-
  cobbler_after=
  while read -r cobbler_word cobbler_after; do
    [ "$cobbler_word" != "$cobbler_last" ] || break
  done
  printf '%s afterwards %s\n' "$cobbler_token" "$cobbler_after"
  exit $cobbler_status
fi
if [ "$cobbler_held" ]; then
  [ -s /proc/self/fd/7 ] &&
    printf %s "$cobbler_last" >&6 &&
    cobbler_take BLOCK COUNT </proc/self/fd/7 >&6 &&
    printf %s "$cobbler_last" >&6
  exit $cobbler_status
fi
cd -P "$cobbler_base" && cobbler_top=${PWD%/} && cd -P "./$cobbler_directory" &&
  [ "${PWD%/}" = "$cobbler_top${cobbler_directory:+/$cobbler_directory}" ] &&
  [ -f "./$cobbler_name" ] && [ ! -L "./$cobbler_name" ] &&
  printf %s "$cobbler_last" >&6 &&
  cobbler_take BLOCK COUNT <"./$cobbler_name" >&6 &&
  printf %s "$cobbler_last" >&6
exit $cobbler_status
""".replace("BLOCK", str(_BLOCK))
    .replace("COUNT", str(LARGEST // _BLOCK + 1))
    .replace("ALONE'", f"{_ALONE}'")
)


def _token() -> str:
    return token_hex(16)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN_BY_SHELLS = frozenset({"UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO"})


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The words that begin the messages of the first process: ``public`` is on its command line."""

    public: str = field(default_factory=_token)
    ready: str = field(default_factory=_token, repr=False)
    last: str = field(default_factory=_token, repr=False)


def opening(
    environment: Mapping[str, str],
    tokens: Tokens,
    collected: CollectedFile | None = None,
    afterwards: Afterwards | None = None,
) -> bytes:
    """The shell text that the lifeline evaluates first.

    ``collected`` is the file that it sends at the end, ``afterwards`` the program that it runs there.

    Raises:
        SandboxError: a shell cannot export one of the names, or a value contains a NUL.
    """
    text = "\n".join(exports(environment))
    lines = [
        f"cobbler_environment={shlex.quote(text)}",
        f"cobbler_last={shlex.quote(tokens.last)}",
        f"cobbler_ready={shlex.quote(tokens.ready)}",
        f"cobbler_base={shlex.quote(collected.base if collected else '')}",
        f"cobbler_directory={shlex.quote(collected.directory if collected else '')}",
        f"cobbler_name={shlex.quote(collected.name if collected else '')}",
        f"cobbler_held={'1' if collected and collected.held else ''}",
        f"cobbler_after={shlex.quote(_command(afterwards) if afterwards else '')}",
        "",
    ]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _command(afterwards: Afterwards) -> str:
    # git reads files below HOME and XDG_CONFIG_HOME, where those of the job are.
    lines = ["unset XDG_CONFIG_HOME", *exports({"HOME": "/dev/null", **afterwards.environment})]
    return "\n".join([*lines, f"exec {shlex.join(afterwards.argv)}"])


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


def arguments(tokens: Tokens, header: bytes, stdin: bytes, argv: Sequence[str]) -> list[str]:
    """The arguments after the image; ``sh`` is the entrypoint."""
    blocks, rest = divmod(len(stdin), _BLOCK)
    numbers = map(str, (len(header), blocks, rest))
    return ["-c", OPENING, "cobbler", SCRIPT, tokens.public, *numbers, *argv]


class Words:
    """Separates the lifeline's messages in a stream of stderr lines from all other lines.

    Lines before ``started`` are podman's own and go to ``before``; later ones go to ``on_line``.

    Args:
        tokens: the messages begin with one of them.
        on_line: takes the lines of the job.
        on_alone: is called when no process of the job is left, if the first process waits for an answer.
    """

    def __init__(
        self,
        tokens: Tokens,
        on_line: Callable[[bytes], None],
        on_alone: Callable[[], None] = lambda: None,
    ) -> None:
        self.tokens = tokens
        self._on_alone = on_alone
        self._on_line = on_line
        self.before: list[bytes] = []
        self.started = False
        self.ready = False
        self.missing = False
        self.lacks = ""
        self.failure = ""
        self.status: int | None = None
        """Exit status of the job; ``None`` if the lifeline was killed before it could report it."""
        self.went_on = False
        """Whether the program that runs afterwards has succeeded."""

    def __call__(self, line: bytes) -> None:
        # The job may have ended without a newline: then the message is the end of its last line.
        tokens = (self.tokens.last,) if self.ready else (self.tokens.ready, self.tokens.public)
        for awaited in tokens:
            text, token, word = line.rpartition(awaited.encode() + b" ")
            if token:
                break
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
            case ["alone"]:
                self._on_alone()
            case ["afterwards", "0"]:
                self.went_on = True

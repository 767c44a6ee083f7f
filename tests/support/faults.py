"""Faults that happen at an exact place."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

CHANGES = ("init", "read-tree", "checkout-index", "index-pack", "unpack-objects", "update-ref")


def git_that_sends(number: signal.Signals, directory: Path, call: int) -> dict[str, str]:
    """An environment in which git sends a signal to its caller before its ``call``-th change of something.

    Only calls by pytest itself count, not those by its child processes. After SIGKILL git changes nothing.
    """
    directory.mkdir()
    git, calls = shutil.which("git"), directory / "calls"
    script = directory / "git"
    script.write_text(
        f"""#!/bin/sh
read -r caller </proc/$PPID/comm
case $caller in python* | pytest*)
    for word; do
        case $word in {" | ".join(CHANGES)})
            printf x >>{calls}
            if [ "$(wc -c <{calls})" -eq {call} ]; then
                kill -{int(number)} $PPID
                [ {int(number)} -ne {int(signal.SIGKILL)} ] || exit 1
            fi
            break
        esac
    done
esac
exec {git} "$@"
"""
    )
    script.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def rm_that_stops_half_way(directory: Path) -> dict[str, str]:
    """An environment in which a process that removes a task's worktree is killed halfway."""
    directory.mkdir()
    rm, script = shutil.which("rm"), directory / "rm"
    script.write_text(
        f"""#!/bin/sh
for word; do
    case ${{word##*/}} in project-*-[0-9])
        {rm} "$word/tree/README.md"
        kill -9 $PPID
        exit 1
    esac
done
exec {rm} "$@"
"""
    )
    script.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def filter_that_kills(directory: Path, call: int, *, git: bool = True, pytest: bool = True) -> str:
    """A smudge filter whose ``call``-th run kills git, or pytest, or both."""
    directory.mkdir()
    script = directory / "filter"
    script.write_text(
        f"""#!/bin/sh
printf x >>{directory}/calls
[ "$(wc -c <{directory}/calls)" -eq {call} ] || exec cat
pid=$PPID gits=
while [ "$pid" -gt 1 ]; do
    read -r name </proc/$pid/comm
    case $name in
        git) gits="$gits $pid" ;;
        python* | pytest*) break ;;
    esac
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$pid/status)
done
# pytest must not see that git is gone, and git must be gone when pytest is.
[ {int(pytest)} -eq 0 ] || kill -STOP "$pid"
[ {int(git)} -eq 0 ] || kill -9 $gits
[ {int(pytest)} -eq 0 ] || kill -9 "$pid"
exec cat
"""
    )
    script.chmod(0o755)
    return str(script)

"""Several scripts in one job, one after the other, and the output of each."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Job, Sandbox

__all__ = ["run_scripts"]

_EVALUATE = 'eval "$(cat)"'


def run_scripts(
    sandbox: Sandbox,
    job: Job,
    scripts: Mapping[str, str],
    cancellation: Cancellation,
    places: Mapping[str, Path] | None = None,
) -> dict[str, bytes]:
    """Run scripts by ``job``; the output of each by its name, as far as the job came.

    Args:
        scripts: by names without spaces.
        places: the working directories of the scripts, if it is not that of the job.
    """
    mark = secrets.token_hex(16)
    lines: list[bytes] = []
    text = "\n".join(
        f"echo {mark} {name}\n({_entering(places, name)} exec {shlex.join(['sh', '-c', script])}"
        ") </dev/null 2>&1\necho"
        for name, script in scripts.items()
    )
    sandbox.run(
        replace(job, argv=("sh", "-c", _EVALUATE), stdin=text.encode(), on_line=lines.append), cancellation
    )
    outputs: dict[str, bytes] = {}
    for part in b"\n".join(lines).split(mark.encode() + b" ")[1:]:
        begun, _, output = part.partition(b"\n")
        outputs[begun.decode()] = output
    return outputs


def _entering(places: Mapping[str, Path] | None, name: str) -> str:
    return f"cd {shlex.quote(str(places[name]))} &&" if places else ""

"""The search for an image on this machine in which agents and the gate can run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pytest_cobbler.display import counted, one_line
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.languages import Language
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Job, Limits
from pytest_cobbler.wiring.parts import images_of_podman, sandbox_of_image

_TRIED = 5
_AGENTS: Final = ("claude", "codex", "opencode", "gemini")
"""Programs of which an image needs one; the first that it has is chosen."""

_LOOKS = """\
agent= missing=
for program in $1; do
  [ -n "$agent" ] || ! command -v $program >/dev/null || agent=$program
done
[ -n "$agent" ] || missing=" ${1%% *}"
for program in $2; do
  command -v $program >/dev/null || missing="$missing${missing:+ and no} $program"
done
shift 2
if [ -n "$missing" ]; then echo "has no$missing"; exit 1; fi
mkdir empty && cd empty || exit 1
for step; do
  sh -c "$step" >out 2>&1 || { tail -n 1 out; exit 1; }
done
echo "$agent"
"""


@dataclass(frozen=True, kw_only=True)
class ImageSearch:
    """What was found. ``image`` is empty if no image fits; ``reasons`` say why, a line each.

    ``agent`` is the program of an agent in the image.

    ``evidence`` is podman's own error, if it started no container at all.
    ``untried`` is the number of older images.
    """

    image: str = ""
    agent: str = ""
    untried: int = 0
    reasons: tuple[str, ...] = ()
    evidence: str = ""


def find_image(
    repository: Repository,
    language: Language,
    programs: Iterable[str] = (),
    say: Callable[[str], object] = lambda _text: None,
) -> ImageSearch:
    """The newest local image with an agent's program, git and the tools of the language's default gate.

    Args:
        programs: those that the gate needs besides.
        say: prints a line before a step that takes long.
    """
    try:
        images = images_of_podman()
    except SandboxError as error:
        return ImageSearch(reasons=(error.cause,), evidence=error.evidence)
    if images:
        say(f"trying {counted(len(images[:_TRIED]), 'image')} of this machine ...")
    reasons: list[str] = []
    errors: list[SandboxError] = []
    for image in images[:_TRIED]:
        try:
            agent, reason = _try_image(image, repository, language, programs)
        except SandboxError as error:  # built for another architecture, for example, or without a shell
            errors.append(error)
            agent, reason = "", error.cause
        if agent:
            return ImageSearch(image=image, agent=agent)
        reasons.append(reason if image in reason else f"{image}: {reason}")
    if not images:
        reasons.append("podman has no image on this machine")
    if more := images[_TRIED:]:
        reasons.append(f"older images were not tried: {len(more)}; if one of them fits, write its name")
    evidence = errors[0].evidence if errors and len(errors) == len(images[:_TRIED]) else ""
    return ImageSearch(reasons=tuple(reasons), evidence=evidence, untried=len(images[_TRIED:]))


def _try_image(
    image: str, repository: Repository, language: Language, programs: Iterable[str]
) -> tuple[str, str]:
    """The program of an agent in the image, or why the image does not fit."""
    lines: list[bytes] = []
    steps = (step.argv[-1] for step in language.gate())
    job = Job(
        name="survey",
        argv=("sh", "-c", _LOOKS, "sh", " ".join(_AGENTS), " ".join(("git", *programs)), *steps),
        workdir="/tmp",
        limits=Limits(wall=60),
        on_line=lines.append,
    )
    completed = sandbox_of_image(image, repository).run(job)
    text = one_line(b" ".join(lines).decode("utf-8", "replace"))
    if completed.ok:
        return (text, "") if text in _AGENTS else ("", text)
    return "", text or f"ended with {completed.cause}, exit status {completed.status}"

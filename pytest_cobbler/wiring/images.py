"""The search for an image on this machine in which agents and the gate can run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytest_cobbler.display import counted, one_line
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.languages import Language
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Job, Limits
from pytest_cobbler.wiring.parts import images_of_podman, sandbox_of_image
from pytest_cobbler.wiring.suggesting import PROGRAMS, Suggested, suggest

_TRIED = 5
_LOOKS = """\
agents= missing=
for program in $1; do
  ! command -v $program >/dev/null || agents="$agents $program"
done
[ -n "$agents" ] || missing=" ${1%% *}"
for program in $2; do
  command -v $program >/dev/null || missing="$missing${missing:+ and no} $program"
done
shift 2
if [ -n "$missing" ]; then echo "has no$missing"; exit 1; fi
mkdir empty && cd empty || exit 1
for step; do
  sh -c "$step" >out 2>&1 || { tail -n 1 out; exit 1; }
done
echo $agents
"""


@dataclass(frozen=True, kw_only=True)
class ImageSearch:
    """What was found. ``image`` is empty if no image fits; ``reasons`` say why, a line each.

    ``suggested`` is the agent that can work in the image.

    ``evidence`` is podman's own error, if it started no container at all.
    ``untried`` is the number of older images.
    """

    image: str = ""
    suggested: Suggested | None = None
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

    One with the program of an agent whose key is here takes precedence.

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
    without_key: ImageSearch | None = None
    for image in images[:_TRIED]:
        try:
            agents, reason = _try_image(image, repository, language, programs)
        except SandboxError as error:  # built for another architecture, for example, or without a shell
            errors.append(error)
            agents, reason = [], error.cause
        if agents:
            found = ImageSearch(image=image, suggested=suggest(agents, repository.root))
            if found.suggested and found.suggested.found:
                return found
            without_key = without_key or found
        reasons.append(reason if image in reason else f"{image}: {reason}")
    if without_key:
        return without_key
    if not images:
        reasons.append("podman has no image on this machine")
    if more := images[_TRIED:]:
        reasons.append(f"older images were not tried: {len(more)}; if one of them fits, write its name")
    evidence = errors[0].evidence if errors and len(errors) == len(images[:_TRIED]) else ""
    return ImageSearch(reasons=tuple(reasons), evidence=evidence, untried=len(images[_TRIED:]))


def _try_image(
    image: str, repository: Repository, language: Language, programs: Iterable[str]
) -> tuple[list[str], str]:
    """The programs of agents in the image, or why the image does not fit."""
    lines: list[bytes] = []
    steps = (step.argv[-1] for step in language.gate())
    job = Job(
        name="survey",
        argv=("sh", "-c", _LOOKS, "sh", " ".join(PROGRAMS), " ".join(("git", *programs)), *steps),
        workdir="/tmp",
        limits=Limits(wall=60),
        on_line=lines.append,
    )
    completed = sandbox_of_image(image, repository).run(job)
    text = one_line(b" ".join(lines).decode("utf-8", "replace"))
    if completed.ok:
        words = text.split()
        return (words, "") if words and set(words) <= set(PROGRAMS) else ([], text)
    return [], text or f"ended with {completed.cause}, exit status {completed.status}"

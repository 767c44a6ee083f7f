"""The search for an image on this machine in which agents and the gate can run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_cobbler.display import counted, one_line
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.languages import Language
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Job, Limits
from pytest_cobbler.wiring.parts import images_of_podman, sandbox_of_image

_TRIED = 5
_PROGRAMS = ("claude", "git")

_LOOKS = """\
missing=
for program in PROGRAMS; do
  command -v $program >/dev/null || missing="$missing${missing:+ and no} $program"
done
if [ -n "$missing" ]; then echo "has no$missing"; exit 1; fi
mkdir empty && cd empty || exit 1
for step; do
  sh -c "$step" >out 2>&1 || { tail -n 1 out; exit 1; }
done
""".replace("PROGRAMS", " ".join(_PROGRAMS))


@dataclass(frozen=True, kw_only=True)
class ImageSearch:
    """What was found. ``image`` is empty if no image fits; ``reasons`` say why, a line each.

    ``evidence`` is podman's own error, if it started no container at all.
    """

    image: str = ""
    reasons: tuple[str, ...] = ()
    evidence: str = ""


def find_image(
    repository: Repository, language: Language, say: Callable[[str], object] = lambda _text: None
) -> ImageSearch:
    """The newest local image with claude, git and the tools of the language's default gate.

    Args:
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
            reason = _try_image(image, repository, language)
        except SandboxError as error:  # built for another architecture, for example, or without a shell
            errors.append(error)
            reason = error.cause
        if not reason:
            return ImageSearch(image=image)
        reasons.append(reason if image in reason else f"{image}: {reason}")
    if not images:
        reasons.append("podman has no image on this machine")
    if more := images[_TRIED:]:
        reasons.append(f"older images were not tried: {len(more)}")
    evidence = errors[0].evidence if errors and len(errors) == len(images[:_TRIED]) else ""
    return ImageSearch(reasons=tuple(reasons), evidence=evidence)


def _try_image(image: str, repository: Repository, language: Language) -> str:
    """Why the image does not fit; empty if it does."""
    lines: list[bytes] = []
    job = Job(
        name="survey",
        argv=("sh", "-c", _LOOKS, "sh", *(step.argv[-1] for step in language.gate())),
        workdir="/tmp",
        limits=Limits(wall=60),
        on_line=lines.append,
    )
    completed = sandbox_of_image(image, repository).run(job)
    if completed.ok:
        return ""
    text = one_line(b" ".join(lines).decode("utf-8", "replace"))
    return text or f"ended with {completed.cause}, exit status {completed.status}"

"""Overlays on this machine: a directory with all files of another one, which no change in it reaches.

Only root can mount one that other programs see. The kernel keeps what is changed in an upper directory.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["UNMOUNTABLE", "mount_overlay", "unmount_below"]

UNMOUNTABLE: Final = re.compile(r"[\\,:]")
"""What has a meaning in the options of an overlay, and may not be in a path."""

_DETACH: Final = 2
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


def mount_overlay(lower: Path, upper: Path, work: Path, target: Path, *, redirects: bool = True) -> None:
    """Show ``lower`` at ``target``, where changes go to ``upper``; ``work`` is an empty directory beside it.

    All are existing directories. With ``redirects``, directories of ``lower`` can be renamed as in any other
    place; without, that fails, and ``upper`` has all that is not where ``lower`` has it.

    Raises:
        OSError: this process or the kernel cannot, or the file system of ``upper`` cannot.
    """
    directories = {"lowerdir": lower, "upperdir": upper, "workdir": work}
    if any(UNMOUNTABLE.search(str(path)) for path in directories.values()):
        raise OSError("a path has a character that the options of an overlay cannot have")
    renames = "redirect_dir=on" if redirects else "redirect_dir=nofollow"
    options = [*(f"{name}={path}" for name, path in directories.items()), renames, "metacopy=off"]
    data = os.fsencode(",".join(options))
    kind = b"overlay"
    _call(_libc().mount(kind, os.fsencode(target), kind, 0, data))


def unmount_below(directory: Path) -> None:
    """Unmount all overlays at ``directory`` and below it, also those that are in use.

    Raises:
        OSError: the kernel refuses one of them; the others are unmounted.
    """
    errors = []
    for place in reversed(list(_overlays_below(directory))):
        try:
            _call(_libc().umount2(os.fsencode(place), _DETACH))
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _overlays_below(directory: Path) -> Iterator[Path]:
    top = directory.resolve()
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        place = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4]))
        if after.startswith("overlay ") and place.is_relative_to(top):
            yield place


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

"""The code of a node's half: it travels by the stream, so that nothing has to be installed on a node."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from typing import Final

from pytest_cobbler.errors import NotStarted
from pytest_cobbler.sites.channel import Stream

__all__ = ["program", "send_code"]

_ROOMS: Final = ("sandbox", "repository", "sites")
_DATA: Final = ("harvest.sh", "left.sh", "paths.toml", "programs/python")
_OF_CONFIG: Final = ("source.py", "faults.py")
"""The reader of YAML, and not the model of the configuration: that needs a compiled package."""
_PACKAGES: Final = ("git", "gitdb", "smmap", "packaging", "platformdirs", "yaml")
"""What the node's half imports, beside this package: all of it is Python."""

_LOOK: Final = 0.5
"""Seconds between two looks whether to go on waiting."""

# Nothing but Python 3.11 is needed: what is installed on the node is not looked at.
_BOOT: Final = """
import io, os, sys, zipfile
if sys.version_info < (3, 11):
    sys.exit(f"nodes need Python 3.11 or newer, and this one has {sys.version.split()[0]}")
base, digest, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
name = os.environ.get("COBBLER_NODE") or os.environ.get("SLURMD_NODENAME") or os.uname().nodename
place = os.path.join(base, os.environ.get("COBBLER_PLACE") or name)
code = os.path.join(place, "code", digest)
is_there = os.path.isdir(code)
os.write(1, b"=" if is_there else b"?")
if is_there:
    os.utime(code)
else:
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            sys.exit("the code has no end")
        data += part
    os.makedirs(os.path.join(place, "code"), mode=0o700, exist_ok=True)
    draft = f"{code}.{os.getpid()}"
    zipfile.ZipFile(io.BytesIO(data)).extractall(draft)
    try:
        os.rename(draft, code)
    except OSError:
        import shutil
        shutil.rmtree(draft)
sys.path.insert(0, code)
from pytest_cobbler.sites.node import main
main(name, place)
"""


def program(directory: str) -> tuple[str, ...]:
    """The command of a node's half; ``directory`` is where nodes keep what they need, each below its name."""
    code = _code()
    return (
        "python3",
        "-I",
        "-u",
        "-c",
        _BOOT,
        directory,
        hashlib.sha256(code).hexdigest()[:32],
        str(len(code)),
    )


def send_code(stream: Stream, waits: Callable[[], bool]) -> bytes:
    """Give a node the code if it does not have it; returns what it has sent already.

    Args:
        waits: whether to go on waiting for the node: the engine may have none that is free.

    Raises:
        NotStarted: the program did not start.
        OSError: the stream has ended.
    """
    first = None
    while first is None and waits():
        first = stream.read(_LOOK)
    if not first or first[:1] not in (b"=", b"?"):
        cause = "the engine has given no node" if first is None else "the node's half did not start"
        raise NotStarted(cause, "", stream.trouble)
    if first[:1] == b"?":
        stream.write(_code())
    return first[1:]


@cache
def _code() -> bytes:
    """A zip of all modules that the node's half may import; the same bytes for the same files."""
    package = resources.files("pytest_cobbler")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, file in sorted(_files(package), key=lambda one: one[0]):
            archive.writestr(zipfile.ZipInfo(path), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _files(package: Traversable) -> Iterator[tuple[str, Traversable]]:
    for one in package.iterdir():
        if one.name.endswith(".py"):
            yield f"pytest_cobbler/{one.name}", one
    for room in _ROOMS:
        yield from _modules(package / room, f"pytest_cobbler/{room}")
    yield "pytest_cobbler/config/__init__.py", package / "__init__.py"
    for name in _OF_CONFIG:
        yield f"pytest_cobbler/config/{name}", package / "config" / name
    for name in _DATA:
        yield f"pytest_cobbler/data/{name}", package / "data" / name
    for name in _PACKAGES:
        assert import_module(name)
        yield from _modules(resources.files(name), name)


def _modules(directory: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for one in directory.iterdir():
        if one.is_dir() and one.name not in ("__pycache__", "test", "tests"):
            yield from _modules(one, f"{path}/{one.name}")
        elif one.name.endswith(".py"):
            yield f"{path}/{one.name}", one

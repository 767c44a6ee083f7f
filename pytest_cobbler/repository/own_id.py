"""The id of a repository: it stays when host or path change, and a copy gets another one."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.files import write_atomically

_FILE = "cobbler.id"
_ID = re.compile(r"[0-9a-f]{32}")


def own_id(common_dir: Path) -> str:
    """The id of the repository with this git directory; made if there is none. Call it under the run lock.

    The file has the id, then the device and the inode of the git directory. In a copy these differ. A clone
    of CI gets a file that has the id alone: it is the same repository, and goes on with its tasks.

    Raises:
        RepositoryError: the file cannot be read or written.
    """
    path = common_dir / _FILE
    status = common_dir.stat()
    place = f"{status.st_dev} {status.st_ino}"
    try:
        known, _, where = (
            path.read_text("ascii", "replace").strip().partition("\n") if path.exists() else ("",) * 3
        )
        name = known if _ID.fullmatch(known) and where in ("", place) else secrets.token_hex(16)
        if (known, where) != (name, place):
            write_atomically(path, f"{name}\n{place}\n".encode(), durable=True)
    except OSError as error:
        raise RepositoryError(f"cannot write {path}: {error.strerror}") from error
    return name

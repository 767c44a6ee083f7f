"""A credential in a file that git tracks, where agents can read it."""

from __future__ import annotations

from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.config import Config
from pytest_cobbler.doctor.examination import Seen
from pytest_cobbler.repository.repository import Repository


def committed(repository: Repository, config: Config, credential: Credential) -> Seen | None:
    """The warning about a file of HEAD that holds the credential; ``None`` if there is no such file."""
    head = repository.head_commit()
    for path in (config.path, config.token_path):
        if not head or not path.is_relative_to(config.root):
            continue
        name = path.relative_to(config.root).as_posix()
        if credential.value.encode() not in (repository.read_file(head, name) or b""):
            continue
        remedy = f"Revoke it, because it stays in the history. Remove it: git rm --cached {name}"
        if path == config.path:  # the file itself has to stay
            remedy = (
                f"Delete the key from {name}, commit that, and revoke the key, which stays in the history.\n"
                "Set a new one as ANTHROPIC_API_KEY in the environment, or in a file of secrets_dir."
            )
        detail = f"{credential.shown}; it is committed in {name}, where agents can read it"
        return Seen(detail=detail, status="warning", remedy=remedy)
    return None

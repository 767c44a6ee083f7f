"""The language of a project, with what the base says of it."""

from __future__ import annotations

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.languages import Go
from pytest_cobbler.languages.python import Python
from pytest_cobbler.wiring.languages import language_of
from tests.support.repositories import UserRepository
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = ["no_git_of_ours", "template", "tmp_path", "user"]


def test_the_default_gate_of_python_knows_the_projects_of_the_base(user: UserRepository) -> None:
    user.commit({"pyproject.toml": '[project]\nname = "calc"\n', "src/calc/__init__.py": ""})
    path = user.path / "configuration.yaml"
    path.write_text("sandbox: none\nlanguage: python\n")

    language = language_of(load(path), user.open())

    assert isinstance(language, Python)
    assert (language.projects.distributions, language.projects.sources) == (("calc",), ("src",))


COPIES = [("", False), ("gate_copies: refuse\n", False), ("gate_copies: allow\n", True)]


@pytest.mark.parametrize(("setting", "accepted"), COPIES)
def test_other_copies_of_the_code_are_accepted_if_the_configuration_allows_them(
    user: UserRepository, setting: str, accepted: bool
) -> None:
    path = user.path / "configuration.yaml"
    path.write_text(f"sandbox: none\nlanguage: python\n{setting}")
    language = language_of(load(path), user.open())
    assert isinstance(language, Python)
    assert language.accepts_copies is accepted

    path.write_text(f"sandbox: none\nlanguage: go\nmodule_path: example.com/m\nsource_dirs: [pkg]\n{setting}")
    language = language_of(load(path), user.open())
    assert isinstance(language, Go)
    assert language.module == ("" if accepted else "example.com/m")

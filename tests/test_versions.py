"""The versions that programs print."""

from __future__ import annotations

import pytest
from packaging.version import Version

from pytest_cobbler.versions import find_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("git version 2.39.5", "2.39.5"),
        ("git version 2.39.5 (Apple Git-154)", "2.39.5"),
        ("git version 2.43.0.windows.1", "2.43.0"),
        ("git version 2.45.0.rc1.12.g0123abc", "2.45.0rc1"),
        ("4.3.1", "4.3.1"),
        ("5.0.0-dev", "5.0.0.dev0"),
        ("4.3.1+ds1-8+deb12u1", "4.3.1+ds1.8"),
        ("v1.10.0", "1.10.0"),
        ("1.0.0-rc.1", "1.0.0rc1"),
    ],
)
def test_the_first_version_is_found(text: str, version: str) -> None:
    assert find_version(text) == Version(version)


@pytest.mark.parametrize("text", ["", "dev", "git is not here", "cobbler2"])
def test_a_text_without_a_version_has_none(text: str) -> None:
    assert find_version(text) is None


def test_versions_are_ordered_by_their_numbers() -> None:
    older, newer = find_version("git version 2.9.1"), find_version("git version 2.38")
    assert older is not None
    assert newer is not None
    assert older < newer

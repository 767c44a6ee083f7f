"""Container runtimes with known ways out."""

from __future__ import annotations

import pytest

from pytest_cobbler.sandbox.escapes import known_escapes

OF_2025 = ["CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"]


@pytest.mark.parametrize(
    ("runtime", "names"),
    [
        ("runc version 1.1.5+ds1 (runc_1.1.5+ds1-1+deb12u1_amd64)", ["CVE-2024-21626", *OF_2025]),
        ("runc version 1.1.12", OF_2025),
        ("runc version 1.2.7", OF_2025),
        ("runc version 1.2.8", []),
        ("runc version 1.3.2", OF_2025),
        ("runc version 1.3.3", []),
        ("runc version 1.4.0", []),
        ("runc version 2.0.0", []),
        ("crun version 1.4.3", ["CVE-2022-27650"]),
        ("crun version 1.8.1", []),
        ("runsc version release-20221219.0", []),
        ("", []),
    ],
)
def test_a_version_has_the_escapes_that_were_fixed_later(runtime: str, names: list[str]) -> None:
    assert [escape.name for escape in known_escapes(runtime)] == names

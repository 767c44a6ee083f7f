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
        ("runc version 1.0.0-rc92", ["CVE-2021-30465", *OF_2025]),
        ("runc version 1.0.0-rc93", ["CVE-2021-30465", "CVE-2024-21626", *OF_2025]),
        ("runc version 1.0.0-rc6", ["CVE-2019-5736", "CVE-2021-30465", *OF_2025]),
        ("crun version 0.10.4", ["CVE-2019-18837"]),
        ("crun version 1.4.3", []),
        ("crun version 1.8.1", []),
        ("runsc version release-20221219.0", []),
        ("", []),
    ],
)
def test_a_version_has_the_escapes_that_were_fixed_later(runtime: str, names: list[str]) -> None:
    assert [escape.name for escape in known_escapes(runtime)] == names

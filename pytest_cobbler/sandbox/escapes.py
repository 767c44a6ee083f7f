"""Container runtimes with known ways out, by their version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from packaging.version import Version

from pytest_cobbler.versions import find_version

__all__ = ["Escape", "known_escapes"]


@dataclass(frozen=True, kw_only=True)
class Escape:
    """A way by which a container reached the host.

    Args:
        since: the first version that has it; empty if every older one does.
        fixed: a version of each series with a fix.
    """

    runtime: str
    name: str
    since: str = ""
    fixed: tuple[str, ...]

    @property
    def source(self) -> str:
        return f"https://nvd.nist.gov/vuln/detail/{self.name}"

    def is_in(self, version: Version) -> bool:
        if self.since and version < Version(self.since):
            return False
        fixes = [Version(fix) for fix in self.fixed]
        is_fixed = any(version >= fix and version.release[:2] == fix.release[:2] for fix in fixes)
        return not is_fixed and version < max(fixes)


# Advisories of runc are at https://github.com/opencontainers/runc/security/advisories/GHSA-...; its CHANGELOG
# has the versions of 2025, too. CVE-2022-27650 of crun is about `crun exec`, and no way out of a container.
_ESCAPES: Final = (
    # GHSA-gxmr-w5mj-v8hh; NVD: "runc through 1.0-rc6".
    Escape(runtime="runc", name="CVE-2019-5736", fixed=("1.0.0rc7",)),
    # GHSA-c3xm-pvg7-gh7r
    Escape(runtime="runc", name="CVE-2021-30465", fixed=("1.0.0rc95",)),
    # GHSA-xr7r-f8xq-vfvv
    Escape(runtime="runc", name="CVE-2024-21626", since="1.0.0rc93", fixed=("1.1.12",)),
    # GHSA-9493-h29p-rfm2
    Escape(runtime="runc", name="CVE-2025-31133", fixed=("1.2.8", "1.3.3", "1.4.0rc3")),
    # GHSA-qw9x-cqr3-wc7r
    Escape(runtime="runc", name="CVE-2025-52565", since="1.0.0rc3", fixed=("1.2.8", "1.3.3", "1.4.0rc3")),
    # GHSA-cgrx-mc8f-2prm
    Escape(runtime="runc", name="CVE-2025-52881", fixed=("1.2.8", "1.3.3", "1.4.0rc3")),
    # https://osv.dev/vulnerability/CVE-2019-18837: "before 0.10.5".
    Escape(runtime="crun", name="CVE-2019-18837", fixed=("0.10.5",)),
)


def known_escapes(runtime: str) -> tuple[Escape, ...]:
    """The known escapes of a runtime.

    Args:
        runtime: as it prints its version: ``runc version 1.1.5+ds1``.
    """
    name = re.split(r"\W", runtime.strip(), maxsplit=1)[0]
    version = find_version(runtime)
    if version is None:
        return ()
    return tuple(escape for escape in _ESCAPES if escape.runtime == name and escape.is_in(version))

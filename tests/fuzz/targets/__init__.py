"""The targets by their names."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import answers, reports, stores, stream, trees

TARGETS: dict[str, Target] = {
    module.TARGET.name: module.TARGET for module in (answers, reports, stores, stream, trees)
}

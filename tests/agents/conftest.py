from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.builders import Workplace
from tests.parts import need
from tests.scripted_api import ScriptedApi


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    """What claude talks to; needs the program."""
    need("claude")
    with ScriptedApi() as api:
        yield api
    assert api.failures == []

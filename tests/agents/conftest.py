from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripted_api import ScriptedApi
from tests.support.workplaces import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def api(claude_program: Path) -> Iterator[ScriptedApi]:
    """What claude talks to; needs the program."""
    assert claude_program.is_file()
    with ScriptedApi() as api:
        yield api
    assert api.failures == []

import pytest


@pytest.fixture(scope="session")
def cobbler_runner_spends():
    """The script costs nothing. For an agent that does give True: it needs --cobbler-live then."""
    return False

import pytest


@pytest.fixture(scope="session")
def cobbler_runner_spends():
    """The script costs nothing. Return True for an agent that costs money; it then needs --cobbler-live."""
    return False

"""The tests of this project run pytest inside pytest."""

import signal

pytest_plugins = ["pytester"]


def pytest_configure() -> None:
    """Take interrupts: a shell's background ignores them, and what is started there would too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL if number is signal.SIGHUP else signal.default_int_handler)

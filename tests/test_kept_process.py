"""A child process that stays to answer questions."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.kept_process import Answer, KeptProcess
from pytest_cobbler.process import host_environment
from tests.support.processes import is_alive

ECHO = """
import os, sys
for line in sys.stdin.buffer:
    word = line[:-1]
    if word == b"die": sys.exit("no more")
    if word == b"pid": word = b"%d" % os.getpid()
    if word == b"session": word = b"%d" % os.getsid(0)
    if word == b"twice": word = b"twice\\n6\\nagain"
    if word == b"hang": continue
    if word == b"large": word = b"x" * 500_000
    sys.stdout.buffer.write(b"%d\\n%s\\n" % (len(word), word))
    sys.stdout.buffer.flush()
"""


def answer(answer: Answer) -> str:
    word = answer.read(int(answer.line()))
    answer.read(1)
    return word.decode()


class Echo(KeptProcess):
    def __init__(self, place: Path, timeout: float = 60.0) -> None:
        super().__init__(
            [sys.executable, "-S", "-c", ECHO], env=host_environment(), cwd=place, timeout=timeout
        )

    def say(self, *words: str) -> list[str]:
        return self.ask([word.encode() for word in words], answer)


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    process = Echo(tmp_path)
    yield process
    process.close()


def test_one_process_answers_all_questions(echo: Echo) -> None:
    assert echo.say("a") == ["a"]
    assert echo.say("b", "c") == ["b", "c"]
    assert len(echo.say("large")[0]) == 500_000
    assert echo.say("pid") == echo.say("pid") == echo.say("session")


def test_a_kept_process_is_started_by_the_first_question_and_ends_when_it_is_closed(echo: Echo) -> None:
    (first,) = echo.say("pid")
    assert is_alive(int(first))
    echo.close()
    assert not is_alive(int(first))
    assert echo.say("pid") != [first]


def test_a_kept_process_ends_when_nothing_refers_to_it(tmp_path: Path) -> None:
    process = Echo(tmp_path)
    (pid,) = process.say("pid")
    del process
    assert not is_alive(int(pid))


def test_a_process_that_was_killed_between_two_questions_is_replaced(echo: Echo) -> None:
    (first,) = echo.say("pid")
    os.kill(int(first), signal.SIGKILL)
    os.waitid(os.P_PID, int(first), os.WEXITED | os.WNOWAIT)
    assert echo.say("a") == ["a"]


def test_the_end_in_an_answer_is_an_error_with_what_the_process_said(echo: Echo) -> None:
    with pytest.raises(CobblerError) as caught:
        echo.say("die")
    assert "it has ended" in caught.value.cause
    assert caught.value.evidence == "no more\n"
    assert echo.say("a") == ["a"]


def test_a_silent_process_is_given_up(tmp_path: Path) -> None:
    process = Echo(tmp_path, timeout=0.2)
    with pytest.raises(CobblerError, match="does not answer"):
        process.say("hang")


def test_an_interrupt_in_an_answer_mixes_up_no_answers(echo: Echo) -> None:
    def interrupted(_: Answer) -> str:
        raise KeyboardInterrupt

    (first,) = echo.say("pid")
    with pytest.raises(KeyboardInterrupt):
        echo.ask([b"a", b"b"], interrupted)
    assert not is_alive(int(first))
    assert echo.say("c") == ["c"]


def test_more_than_the_answer_is_an_error(echo: Echo) -> None:
    with pytest.raises(CobblerError, match="more than it was asked"):
        echo.ask([b"twice"], lambda answer: answer.line())
    assert echo.say("a") == ["a"]


def test_a_question_is_one_line(echo: Echo) -> None:
    with pytest.raises(ValueError, match="one line"):
        echo.say("a\nb")


def test_a_program_that_is_missing_is_an_error(tmp_path: Path) -> None:
    process = KeptProcess(["no-such-program"], env={}, cwd=tmp_path, timeout=1)
    with pytest.raises(CobblerError, match="cannot start no-such-program"):
        process.ask([b"a"], answer)


def test_threads_get_their_own_answers(echo: Echo) -> None:
    wrong: list[str] = []

    def talk(name: str) -> None:
        wrong.extend(
            word for number in range(50) for word in echo.say(f"{name}{number}") if word != f"{name}{number}"
        )

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_fork_has_a_process_of_its_own_and_leaves_that_of_its_parent(echo: Echo) -> None:
    (first,) = echo.say("pid")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, echo.say("pid")[0].encode())
            echo.close()
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, encoding="ascii") as said:
        assert said.read() not in ("", first)
    assert echo.say("pid") == [first]

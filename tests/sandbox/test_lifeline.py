"""The words between a container's first process and the host."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.sandbox.lifeline import Tokens, Words, opening

TOKENS = Tokens(public="token", ready="secret", last="last")
VALUES = st.text(st.characters(exclude_characters="\0", codec="utf-8"))


class TestOpening:
    @settings(max_examples=40, deadline=None)
    @given(st.dictionaries(st.sampled_from(["A", "_b", "PATH_2", "c9"]), VALUES))
    def test_a_shell_exports_every_value_as_it_is(self, environment: dict[str, str]) -> None:
        script = 'eval "$(cat)"; eval "$cobbler_environment"; exec /usr/bin/env -0'
        shown = subprocess.run(
            ["sh", "-c", script], input=opening(environment, TOKENS), env={}, capture_output=True
        )
        assert shown.stderr == b""
        found = dict(entry.split("=", 1) for entry in shown.stdout.decode().split("\0") if entry)
        assert {name: found.get(name) for name in environment} == environment

    @pytest.mark.parametrize("name", ["", "1A", "A-B", "A;id", "A\nid", "UID", "cobbler_token"])
    def test_names_that_a_shell_cannot_export_are_refused(self, name: str) -> None:
        with pytest.raises(SandboxError, match="cannot be an environment variable"):
            opening({name: "x"}, TOKENS)

    def test_a_value_with_a_nul_is_refused_without_being_shown(self) -> None:
        with pytest.raises(SandboxError) as caught:
            opening({"KEY": "secret\0"}, TOKENS)
        assert "KEY" in str(caught.value)
        assert "secret" not in str(caught.value)


class TestWords:
    @staticmethod
    def hear(*lines: bytes) -> tuple[Words, list[bytes]]:
        passed: list[bytes] = []
        words = Words(TOKENS, passed.append)
        for line in lines:
            words(line)
        return words, passed

    def test_lines_before_the_start_are_podmans(self) -> None:
        words, passed = self.hear(b"warning", b"token started", b"of the job")
        assert words.started
        assert (words.before, passed) == ([b"warning"], [b"of the job"])

    def test_the_last_message_may_follow_an_unfinished_line(self) -> None:
        words, passed = self.hear(b"token started", b"secret ready", b"unfinishedlast ended 7")
        assert (words.status, passed) == (7, [b"unfinished"])

    def test_without_a_last_message_there_is_no_status(self) -> None:
        words, _ = self.hear(b"token started", b"last ended", b"last ended x", b"other ended 3")
        assert words.status is None

    def test_a_program_that_the_image_lacks_is_reported(self) -> None:
        words, _ = self.hear(b"token started", b"token lacks dd")
        assert words.lacks == "dd"
        assert not words.missing

    def test_once_a_job_may_run_only_the_secret_counts(self) -> None:
        lines = [b"token lacks dd", b"token missing", b"token ended 0", b"secret ended 0"]
        words, passed = self.hear(b"token started", b"secret ready", *lines)
        assert (words.status, words.lacks, words.missing) == (None, "", False)
        assert passed == lines

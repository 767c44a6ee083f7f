"""The notary makes a statement of each landing, and never calls one signed that is not."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.landing.notary import Notary, Signer
from pytest_cobbler.landing.statements import read_statement, to_sign
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.secret_forms import Secrets
from tests.support.parts import need
from tests.support.stated import COMMIT, RECORD, TIP, WORK

MERGED = Merge(tip=TIP, tree=RECORD.tree)


def notary(*command: str, directory: Path, patience: float = 60.0, secret: str = "") -> Notary:
    signer = Signer(command=command, directory=directory, patience=patience) if command else None
    return Notary(Secrets([secret]).scrub_text, signer, Cancellation())


def python(script: str) -> tuple[str, str, str]:
    return sys.executable, "-c", script


def test_without_a_signer_the_note_is_the_statement(tmp_path: Path) -> None:
    found = read_statement(notary(directory=tmp_path).state(WORK, COMMIT, MERGED, RECORD))
    assert (found.commit, found.tip, found.tree, found.signed) == (COMMIT, TIP, RECORD.tree, False)


def test_secrets_are_replaced(tmp_path: Path) -> None:
    content = notary(directory=tmp_path, secret="ada@example.invalid").state(WORK, COMMIT, MERGED, RECORD)
    assert b"ada@" not in content
    assert read_statement(content).commit == COMMIT


def test_a_program_signs_the_statement(tmp_path: Path) -> None:
    """It runs in the directory of the configuration, with the bytes to sign on stdin."""
    (tmp_path / "here").touch()
    script = (
        "import os, sys; os.stat('here'); open('got', 'wb').write(sys.stdin.buffer.read()); print('mine')"
    )
    office = notary(*python(script), directory=tmp_path)
    content = office.state(WORK, COMMIT, MERGED, RECORD)
    envelope = json.loads(content)
    assert base64.b64decode(envelope["signatures"][0]["sig"]) == b"mine\n"
    assert to_sign(base64.b64decode(envelope["payload"])) == (tmp_path / "got").read_bytes()
    assert read_statement(content).signed
    assert office.landed("t-1", COMMIT) == ()
    assert office.failures == []


@pytest.mark.parametrize(
    ("script", "patience", "cause"),
    [
        ("import sys; sys.exit('no key in ada-secret-1')", 60.0, "failed (exit 1): no key in [credential]"),
        ("import time; print('half', flush=True); time.sleep(300)", 0.3, "did not end within 0.3s"),
        ("import os; print('half', flush=True); os.kill(os.getpid(), 9)", 60.0, "failed (exit -9)"),
        ("", 60.0, "printed 0 bytes, not a signature"),
        ("print('x' * 70_000)", 60.0, "printed 70001 bytes, not a signature"),
    ],
    ids=["fails", "hangs", "is killed", "prints nothing", "prints too much"],
)
def test_a_statement_that_is_not_signed_says_so(
    tmp_path: Path, script: str, patience: float, cause: str
) -> None:
    office = notary(*python(script), directory=tmp_path, patience=patience, secret="ada-secret-1")
    found = read_statement(office.state(WORK, COMMIT, MERGED, RECORD))
    assert (found.commit, found.signed) == (COMMIT, False)
    assert office.failures == [], "it has not landed"
    assert office.landed("t-1", COMMIT) == (f"the statement is not signed: sign_command {cause}",)
    assert office.failures == [f"t-1 landed without a signature: sign_command {cause}"]


def test_a_program_that_is_gone_since_the_start_leaves_the_statement_unsigned(tmp_path: Path) -> None:
    office = notary("no-such-program", directory=tmp_path)
    assert not read_statement(office.state(WORK, COMMIT, MERGED, RECORD)).signed
    assert "no-such-program" in office.landed("t-1", COMMIT)[0]


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-program"])
def test_a_missing_program_is_found_before_a_run(tmp_path: Path, program: str) -> None:
    with pytest.raises(UsageProblem, match=f"sign_command: there is no program {program}"):
        Signer(command=(program,), directory=tmp_path).check()


def test_a_program_beside_the_configuration_is_found(tmp_path: Path) -> None:
    (tmp_path / "sign.sh").write_text("#!/bin/sh\ncat >/dev/null\necho mine\n")
    (tmp_path / "sign.sh").chmod(0o755)
    signer = Signer(command=("./sign.sh",), directory=tmp_path)
    signer.check()
    signature = json.loads(signer.sign(b"{}", Cancellation()))["signatures"][0]["sig"]
    assert base64.b64decode(signature) == b"mine\n"


PAGE = Path(__file__).parents[2] / "docs" / "statements.md"


def test_the_commands_of_the_page_sign_and_check(tmp_path: Path) -> None:
    """What docs/statements.md says of openssl, with the note in a repository."""
    need("openssl")
    page = PAGE.read_text("utf-8")

    def block(kind: str, word: str) -> str:
        [found] = [part for part in page.split(f"```{kind}\n")[1:] if word in part.partition("```")[0]]
        return found.partition("```")[0]

    def shell(script: str) -> None:
        subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, capture_output=True)

    shell("git init -q . && git config user.name a && git config user.email a@b")
    shell("git commit -q --allow-empty -m First")
    shell("openssl ecparam -name prime256v1 -genkey -noout -out key.pem")
    shell("openssl ec -in key.pem -pubout -out public.pem")
    command = yaml.safe_load(block("yaml", "sign_command"))["sign_command"]
    command = [str(tmp_path / "key.pem") if word.endswith(".pem") else word for word in command]
    note = Signer(command=tuple(command), directory=tmp_path).sign(b'{"a": 1}', Cancellation())
    (tmp_path / "note").write_bytes(note)
    (tmp_path / "check.py").write_text(block("python", "DSSEv1"))
    shell(f"git notes --ref=cobbler add --file=note && {sys.executable} check.py HEAD")
    shell(block("sh", "openssl"))
    (tmp_path / "signed").write_bytes((tmp_path / "signed").read_bytes().replace(b"1", b"2"))
    with pytest.raises(subprocess.CalledProcessError):
        shell(block("sh", "openssl"))

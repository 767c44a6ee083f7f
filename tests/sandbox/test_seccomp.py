"""User namespaces: off in jobs, unless the configuration turns them on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.sandbox import seccomp
from pytest_cobbler.sandbox.podman import PodmanSandbox
from pytest_cobbler.sandbox.seccomp import Profile, without_user_namespaces
from tests.support.jobs import ended, output
from tests.support.podmans import Podman, hand_over

_TRIES = r"""
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, *call):
    status = libc.syscall(*map(ctypes.c_long, call))
    if status == 0 and name != "unshare":
        os._exit(0)
    print(name, "works" if status >= 0 else errno.errorcode[ctypes.get_errno()])
arguments = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17, 0, 0, 0)
tried("clone", 56, 0x10000000 | 17, 0, 0, 0, 0)
tried("clone with others", 56, 0x10000000 | 0x40000000 | 17, 0, 0, 0, 0)
tried("clone3", 435, ctypes.addressof(arguments), 64)
tried("unshare", 272, 0x10000000)
for number in (248, 249, 250):
    tried("keys", number, 0, 0, 0, 0, 0)
"""


@pytest.fixture
def python(podman: Podman, own_podman: Podman, python_image: str) -> str:
    hand_over(python_image, own_podman, podman)
    return python_image


def test_a_job_can_make_no_user_namespace_and_use_no_keyring_by_any_call(
    podman: Podman, python: str, repository: str
) -> None:
    sandbox = podman.sandbox(python, repository=repository)
    found = output(sandbox, f"exec python3 -c '{_TRIES}'")
    assert found.splitlines() == [
        *("clone EPERM", "clone with others EPERM", "clone3 ENOSYS", "unshare EPERM"),
        *["keys ENOSYS"] * 3,
    ]


def test_threads_and_processes_still_start(podman: Podman, python: str, repository: str) -> None:
    script = """exec python3 -c '
import subprocess, threading
threading.Thread(target=print, args=("thread",)).start()
subprocess.run(["echo", "process"], check=True)
'"""
    found = output(podman.sandbox(python, repository=repository), script)
    assert sorted(found.split()) == ["process", "thread"]


def test_a_project_can_turn_them_on(podman: Podman, minimal_image: str, repository: str) -> None:
    sandbox = PodmanSandbox(
        minimal_image,
        repository=repository,
        run_id="here",
        owner=podman.owner,
        program=podman.program,
        user_namespaces=True,
        environment=podman.environment,
    )
    assert ended(sandbox, "unshare --user true").ok


def test_the_file_of_the_profile_is_removed_with_it() -> None:
    profile = Profile({})
    path = profile.path
    assert path is not None
    assert path.exists()
    del profile
    assert not path.exists()


def test_a_profile_that_was_cleaned_away_is_made_again() -> None:
    profile = Profile({})
    assert profile.path
    content = profile.path.read_bytes()
    profile.path.unlink()
    path = profile.path
    assert path.read_bytes() == content
    del profile
    assert not path.exists()


def test_the_profile_that_the_user_chose_for_podman_is_kept(tmp_path: Path) -> None:
    mine = {"defaultAction": "SCMP_ACT_KILL", "syscalls": [{"names": ["read", "clone"], "action": "x"}]}
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    (tmp_path / "conf").write_text(f'[containers]\nseccomp_profile = "{tmp_path}/mine.json"\n')
    profile = Profile({"CONTAINERS_CONF": str(tmp_path / "conf")})
    assert profile.path is not None
    kept = json.loads(profile.path.read_text())
    assert kept["defaultAction"] == "SCMP_ACT_KILL"
    assert kept["syscalls"][0] == {"names": ["read"], "action": "x"}


def test_without_a_readable_profile_the_header_says_it(
    monkeypatch: pytest.MonkeyPatch, own_podman: Podman, tmp_path: Path
) -> None:
    monkeypatch.setattr(seccomp, "_PROFILES", (tmp_path / "none",))
    assert "jobs can make user namespaces" in own_podman.sandbox("image", repository="r").description


class TestProfile:
    @pytest.mark.parametrize("text", ["[]", "{}", '{"syscalls": 1}', "no json"])
    def test_a_file_that_is_not_a_profile_is_not_used(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"profile|Expecting"):
            without_user_namespaces(text)

    def test_other_rules_stay_as_they_are(self) -> None:
        rules = [
            {"names": ["read"], "action": "A", "includes": {"caps": ["X"]}},
            {"names": ["clone", "write", "unshare"], "action": "B"},
            {"names": ["clone3"], "action": "C"},
        ]
        kept = json.loads(without_user_namespaces(json.dumps({"defaultAction": "D", "syscalls": rules})))
        assert kept["defaultAction"] == "D"
        assert kept["syscalls"][:2] == [rules[0], {"names": ["write"], "action": "B"}]
        names = [name for rule in kept["syscalls"][2:] for name in rule["names"]]
        others = [name for name in names if name != "socket"]
        missing = ["clone3", "add_key", "keyctl", "request_key"]
        assert others == [*["clone"] * 2, *["unshare"] * 2, *missing]

    @pytest.mark.parametrize(("machine", "index"), [("x86_64", 0), ("aarch64", 0), ("s390x", 1)])
    def test_the_flags_of_clone_have_their_place(self, machine: str, index: int) -> None:
        kept: dict[str, Any] = json.loads(without_user_namespaces('{"syscalls": []}', machine))
        places = {rule["args"][0]["index"] for rule in kept["syscalls"] if rule["names"] == ["clone"]}
        assert places == {index}


def test_the_profile_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "podman.json"
    profile.write_text('{"syscalls": []}')
    (tmp_path / "conf").write_text(f'seccomp_profile = "{profile}"\n')
    environment = {"CONTAINERS_CONF": str(tmp_path / "conf")}
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    script = (
        "import os, sys; from pytest_cobbler.sandbox.seccomp import Profile; "
        f"kept = Profile({environment}); print(kept.path, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(place)}, **pipes) as other:
        assert other.stdout is not None
        path = Path(other.stdout.readline().strip())
        assert path.parent == place
        first = Profile(environment)
        assert {*place.iterdir()} == {path, first.path}, "the other process lives"
        other.kill()
    assert path.exists()
    second = Profile(environment)
    assert {*place.iterdir()} == {first.path, second.path}
    path.touch()  # of one that was killed since, such as the child that the doctor kills
    del first, second
    assert [*place.iterdir()] == []


def test_a_job_cannot_reach_the_machine_under_this_one(podman: Podman, python: str, repository: str) -> None:
    tries = r"""
import errno, socket
for family, kind, protocol in ((40, 1, 0), (16, 3, 9), (1, 1, 0), (2, 1, 0), (10, 2, 0), (16, 3, 0)):
    try:
        socket.socket(family, kind, protocol)
        print(family, "works")
    except OSError as error:
        print(family, protocol, errno.errorcode[error.errno])
"""
    found = output(podman.sandbox(python, repository=repository), f"exec python3 -c '{tries}'").splitlines()
    assert found[0] == "40 0 ENOSYS"
    assert found[1].startswith("16 9 ")
    assert found[2:] == ["1 works", "2 works", "10 works", "16 works"]

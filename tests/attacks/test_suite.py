"""The attacks of ``--cobbler-attacks``: all are held, and each gets through without its protection."""

from __future__ import annotations

import ast
import contextlib
import inspect
import os
import shutil
import signal
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_cobbler.agents.access import PORT, Access
from pytest_cobbler.agents.base import SessionPlace
from pytest_cobbler.attacks import gate, landing
from pytest_cobbler.attacks import job as attacks_on_jobs
from pytest_cobbler.attacks.attack import FAMILIES, Attack, attacks_of, every_attack
from pytest_cobbler.attacks.gate import try_gate
from pytest_cobbler.attacks.ground import Ground, Target, prepared, script_of
from pytest_cobbler.attacks.inside import try_in_one_job
from pytest_cobbler.attacks.job import try_job
from pytest_cobbler.attacks.landing import try_landing
from pytest_cobbler.attacks.measure import try_measure
from pytest_cobbler.attacks.overlay import try_overlay
from pytest_cobbler.attacks.proxy import try_proxy
from pytest_cobbler.attacks.session import ID, try_session
from pytest_cobbler.attacks.suite import run_suite
from pytest_cobbler.cycle.measure import LARGEST_ANSWER, OUTPUT
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.changes import Change
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import Harvest, HarvestError
from pytest_cobbler.repository.pins import PINS
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox import lifeline
from pytest_cobbler.sandbox.base import Capability, Job, Limits, Loopback, Network
from pytest_cobbler.sites.local import INSIDE
from pytest_cobbler.wiring.parts import local_site
from tests.support.attacked import PART, Altered, Careless, believed, not_held, others_than_held, target_of
from tests.support.images import busybox_image
from tests.support.podmans import Podman, own_podman

__all__ = ["busybox_image", "own_podman"]

NOW = Cancellation()


@pytest.fixture
def target(own_podman: Podman, minimal_image: str, place: Path) -> Target:
    return target_of(own_podman, minimal_image, place)


@pytest.fixture
def careless() -> Iterator[Careless]:
    sandbox = Careless()
    yield sandbox
    sandbox.end()


def attack_of(family: str, name: str) -> Attack:
    [attack] = [attack for attack in attacks_of(family) if attack.name == name]
    return attack


def names_of(family: str) -> list[str]:
    return [attack.name for attack in attacks_of(family)]


def test_every_attack_is_held(target: Target) -> None:
    first, step = map(int, os.environ.get(PART, "0/1").split("/"))
    attacks = every_attack()[first::step]
    lines = list(run_suite(target, Cancellation(), attacks))
    assert [line.attack for line in lines] == list(attacks)
    others = others_than_held(lines)
    assert {name: seen for name, seen in others.items() if name not in not_for(target)} == {}
    assert all(seen.startswith("not tried: ") for seen in others.values())


def not_for(target: Target) -> tuple[str, ...]:
    """The attacks that cannot be tried here."""
    return (
        *(("many-processes", "much-memory") if Capability.LIMITS not in target.sandbox.capabilities else ()),
        *(("setuid-program",) if os.getuid() else ()),
    )


def test_there_are_attacks_of_every_family() -> None:
    assert {attack.family for attack in every_attack()} == set(FAMILIES)
    assert len({attack.name for attack in every_attack()}) == len(every_attack()) >= 100


@pytest.mark.parametrize("family", ["gate", "job"])
def test_every_attack_on_a_family_of_single_trials_gets_through_in_a_test(family: str) -> None:
    tests = {"gate": TestGate, "job": TestJob}[family]
    nodes = ast.walk(ast.parse(inspect.getsource(tests)))
    named = {node.value for node in nodes if isinstance(node, ast.Constant)}
    assert set(names_of(family)) - named == set()


def test_a_sandbox_that_fails_holds_nothing(target: Target) -> None:
    def fail(_job: Job) -> Job:
        raise SandboxError("podman is gone")

    failing = Altered(target.sandbox, job=fail)
    target = replace(target, sandbox=failing, gate=replace(target.gate, sandbox=failing))
    lines = list(run_suite(target, Cancellation()))
    assert {line.status for line in lines if line.attack.name != "outlive-runner"} == {"not tried"}


def test_a_harvest_that_podman_does_not_start_is_not_taken_for_lost_work(target: Target) -> None:
    def fail_harvests(job: Job) -> Job:
        if job.name.startswith("harvest"):
            raise SandboxError("podman is gone")
        return job

    failing = Altered(target.sandbox, job=fail_harvests)
    with prepared(replace(target, sandbox=failing)) as ground:
        [line] = try_landing(ground, [attack_of("landing", "hidden-changes")], NOW)
    assert (line.status, line.evidence) == ("not tried", "podman is gone")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can take every protection out")
class TestInside:
    @pytest.fixture
    def privileged(self, own_podman: Podman, minimal_image: str, place: Path) -> Target:
        """A privileged container of root, with the network of the host and all that attacks aim at."""
        arguments = [
            *("--privileged", "--user=0:0", "--network=host", "--read-only=false"),
            *(f"--volume={place}:{place}", f"--volume={place}/outside:/home"),
            f"--volume={place}/outside/secret:/dev/kmem",
        ]
        return target_of(own_podman, minimal_image, place, arguments, network=Network.OPEN, proxied=False)

    ELSEWHERE = ("open-descriptors", "see-host-processes", "signal-host-process")

    def test_attacks_get_through_in_a_privileged_container(self, privileged: Target) -> None:
        attacks = [attack for attack in attacks_of("inside") if attack.name not in self.ELSEWHERE]
        has_modules = Path("/proc/modules").exists()
        with prepared(privileged) as ground:
            lines = try_in_one_job(ground, attacks, "inside", NOW)
        held = {line.attack.name: line.evidence for line in lines if not line.got_through}
        # This cannot get through on a kernel that does not have it.
        assert held == ({} if has_modules else {"load-module": "the call does not exist"})

    def test_everything_can_be_reached_on_the_network_of_the_host(self, privileged: Target) -> None:
        with prepared(privileged) as ground:
            lines = try_in_one_job(ground, attacks_of("network"), "network", NOW)
            held = {line.attack.name: line.evidence for line in lines if not line.got_through}
            for name in held:  # the host itself has no such route
                assert names_without_route(ground, name) == f"held {held[name]}"

    def test_a_directory_that_the_runtime_leaves_open_is_a_way_out(
        self, own_podman: Podman, minimal_image: str, place: Path
    ) -> None:
        program = place / "podman"
        # The first process of a job uses some of them itself.
        leaked = " ".join(f"{number}<{place}/outside" for number in range(3, 9))
        program.write_text(f'#!/bin/sh\nexec podman "$@" {leaked}\n')
        program.chmod(0o755)
        leaking = target_of(
            replace(own_podman, program=str(program)),
            minimal_image,
            place,
            ["--preserve-fds=6"],
            proxied=False,
        )
        with prepared(leaking) as ground:
            lines = try_in_one_job(ground, [attack_of("inside", "open-descriptors")], "inside", NOW)
        assert [line.evidence for line in lines] == ["it read a file of the host"]

    def test_processes_can_be_seen_and_killed_without_a_namespace(
        self, own_podman: Podman, minimal_image: str, place: Path
    ) -> None:
        """The namespace is another container's: in this machine's, the lifeline would end everything."""
        owner = ":".join(map(str, own_podman.owner or ()))
        name = f"cobbler-witness-{uuid.uuid4().hex[:8]}"
        sharing = target_of(own_podman, minimal_image, place, [f"--pid=container:{name}"], proxied=False)
        with prepared(sharing) as ground:
            word = ground.words["a process of the host"]
            script = f"sh -c 'sleep 600; : {word}' & sleep 600"
            start = ["run", "--detach", f"--name={name}", f"--user={owner}", "--network=none", "--pull=never"]
            own_podman(*start, minimal_image, "sh", "-c", script)
            try:
                process = _ProcessOf(own_podman, name, word)
                witnessed = replace(ground, process=cast(Any, process))
                attacks = [
                    attack_of("inside", name) for name in ("see-host-processes", "signal-host-process")
                ]
                lines = try_in_one_job(witnessed, attacks, "inside", NOW)
            finally:
                own_podman("rm", "--force", "--time=0", name)
        assert [line.evidence for line in lines] == ["it read a process of the host", "the process ended"]


class _ProcessOf:
    """A process in a container, in the place of one of this machine."""

    def __init__(self, podman: Podman, container: str, word: str) -> None:
        self._podman, self._container, self._word = podman, container, word
        self.pid = next(pid for pid, words in self._processes().items() if word in words and pid != 1)

    def _processes(self) -> dict[int, str]:
        listed = self._podman("top", self._container, "pid", "args").splitlines()[1:]
        return {int(line.split()[0]): line for line in listed}

    def poll(self) -> int | None:
        with contextlib.suppress(AssertionError):
            if self.pid in self._processes():
                return None
        return 1


def names_without_route(ground: Ground, name: str) -> str:
    """The last word of a script that runs on the host."""
    worktree = ground.worktree(f"host-{name}")
    ground.place_programs(worktree)
    script = script_of(attack_of("network", name), ground.variables(worktree.tree))
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout.splitlines()[-1]


class TestProxy:
    @pytest.mark.matrix("costly")
    def test_a_relay_in_its_place_lets_everything_through(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Access, "proxy", lambda access: _Relay(access))
        with prepared(target) as ground:
            lines = try_proxy(ground, attacks_of("proxy"), NOW)
        assert not_held(lines) == set(names_of("proxy"))

    @pytest.mark.matrix("costly")
    def test_nothing_is_held_if_the_api_cannot_be_reached(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nothing = Loopback(port=PORT, serve=lambda _listener: contextlib.nullcontext())
        monkeypatch.setattr(Access, "proxy", lambda _access: type("Deaf", (), {"network": nothing}))
        with prepared(target) as ground:
            # One is enough: each waits for an answer.
            lines = try_proxy(ground, attacks_of("proxy")[:1], NOW)
        assert {line.evidence for line in lines} == {"an allowed request does not reach the API"}


class _Relay:
    """Adds the key to whatever a job sends, and passes on both directions."""

    def __init__(self, access: Access) -> None:
        assert access.base_url
        assert access.credential
        self._key = access.credential.value.encode()
        self._port = int(access.base_url.rpartition(":")[2])
        self.network = Loopback(port=PORT, serve=self._serve)

    @contextlib.contextmanager
    def _serve(self, listener: socket.socket) -> Iterator[None]:
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as api, contextlib.suppress(OSError):
            client.settimeout(0.2)
            data = b""
            with contextlib.suppress(TimeoutError):
                while part := client.recv(65536):
                    data += part
            api.sendall(data.replace(b"\r\n", b"\r\nx-api-key: " + self._key + b"\r\n", 1))
            api.shutdown(socket.SHUT_WR)
            while part := api.recv(65536):
                client.sendall(part)


class TestLanding:
    @pytest.mark.matrix("costly")
    @pytest.mark.skipif(os.getuid() != 0, reason="the careless host is another user")
    def test_attacks_get_through_on_a_host_that_uses_its_own_git(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(landing, "_LONGEST_LANDING", 1.5)
        attacks = [attack for attack in attacks_of("landing") if attack.name != "late-writer"]
        with prepared(target) as ground:
            lines = try_landing(ground, attacks, NOW, harvested_by_the_host)
        assert not_held(lines) == set(names_of("landing")) - {"late-writer"}, [
            f"{line.attack.name}: {line.evidence}" for line in lines if not line.got_through
        ]

    @pytest.mark.matrix("costly")
    def test_attacks_are_held_in_overlays_of_one_checkout(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        defaults = local_site.__kwdefaults__
        assert defaults
        monkeypatch.setitem(defaults, "large", 0)
        # Git takes three times as long for 3,000 directories in each other as in a plain checkout.
        monkeypatch.setattr(landing, "_LONGEST_LANDING", 200.0)
        # The host looks for the file of the late writer in a plain directory.
        attacks = [attack for attack in attacks_of("landing") if attack.name != "late-writer"]
        with prepared(target) as ground:
            assert ground.worktree("probe").base
            lines = try_landing(ground, attacks, NOW)
        assert others_than_held(lines) == {}

    def test_a_busy_machine_is_not_taken_for_a_host_that_is_kept_busy(
        self, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(landing, "_LONGEST_LANDING", 0.0)
        with prepared(target) as ground:
            [line] = try_landing(ground, [attack_of("landing", "hidden-changes")], NOW)
        assert (line.status, line.evidence) == ("held", "the work landed without effect on the host")

    def test_a_pin_that_is_removed_while_the_host_looks_is_no_error(self, target: Target) -> None:
        with prepared(target) as ground:
            pin = ground.repository.git_dir / PINS / "doctor" / "attack-x"
            ended = threading.Event()

            def come_and_go() -> None:
                while not ended.is_set():
                    (pin / "tree").mkdir(parents=True)
                    shutil.rmtree(pin)

            thread = threading.Thread(target=come_and_go)
            thread.start()
            try:
                seen = [ground.changed() for _ in range(300)]
            finally:
                ended.set()
                thread.join()
        assert seen == [[]] * 300

    def test_a_process_that_stays_is_noticed(self, target: Target, careless: Careless) -> None:
        leaving = Altered(
            target.sandbox, run=lambda job: careless.run(job) if job.name.startswith("attack-") else None
        )
        with prepared(replace(target, sandbox=leaving)) as ground:
            [line] = try_landing(ground, [attack_of("landing", "late-writer")], NOW)
        assert (line.status, line.evidence) == ("NOT HELD", "a process of the agent still writes")


def harvested_by_the_host(
    ground: Ground, worktree: Worktree, _policy: Policy, _cancellation: Cancellation
) -> Harvest:
    """What not to do: git of the host, in the directory of the agent, with the user's configuration."""
    repository = ground.repository
    for closed in (repository.work_dir, repository.work_dir.parent):
        closed.chmod(0o711)  # for the other user that this host is
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_GLOBAL": str(repository.git_dir / "config"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(map(str, repository.object_stores)),
        **{f"GIT_{role}_{part}": "x@x" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")},
    }
    owner = ground.target.sandbox.owner or (os.getuid(), os.getgid())

    def host(script: str, directory: Path = worktree.tree) -> str:
        # Not the time limit of subprocess, which ends the shell alone.
        done = subprocess.run(
            ["timeout", "--signal=KILL", "2", "sh", "-c", script],
            cwd=directory,
            env=environment,
            user=owner[0],
            group=owner[1],
            start_new_session=True,
            capture_output=True,
            text=True,
        )
        if done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
            raise HarvestError("the host hangs")
        return done.stdout.strip()

    for directory in worktree.tree.glob("*/"):
        if not directory.is_symlink():
            host(f"test ! -r {directory} || git -C {directory} status")
    host("git add -f -- $(git ls-files -o); git add -u; git commit -qm Work; chmod u+rwx -- *")
    ids = host("git rev-parse HEAD^{tree} HEAD").split()
    if len(ids) != 2:
        raise HarvestError("there is no commit")
    tree, head = ids
    store = repository.object_stores[0]
    with contextlib.suppress(OSError):
        shutil.copytree(worktree.git / "objects", store, dirs_exist_ok=True)
    for path in (worktree.git / "objects" / "info" / "alternates").read_text().splitlines():
        if Path(path).is_dir():
            shutil.copytree(path, store, dirs_exist_ok=True)
    parent = worktree.parent if host(f"git merge-base HEAD {worktree.parent}") else head
    return Harvest(tree=tree, parent=parent, change=Change())


class TestOverlay:
    def test_everything_gets_through_where_root_has_layers_that_are_writable(
        self, own_podman: Podman, minimal_image: str, place: Path
    ) -> None:
        def opened(job: Job) -> Job:
            if job.afterwards is None:
                return job
            layers = [replace(mount, mode="rw") for mount in job.afterwards.mounts]
            [upper] = [mount for mount in layers if mount.source.name == "upper"]
            kernels = replace(upper, source=upper.source.with_name("work"), target=f"{INSIDE}/work")
            return replace(job, afterwards=replace(job.afterwards, mounts=(*layers, kernels)))

        podman = replace(own_podman, owner=(0, 0))
        privileged = target_of(podman, minimal_image, place, ["--privileged", "--user=0:0"], proxied=False)
        with prepared(replace(privileged, sandbox=Altered(privileged.sandbox, job=opened))) as ground:
            attacks = attacks_of("overlay")
            quiet = replace(attacks[0], name="quiet", script="held 'it was not made'")
            *lines, unsaid = try_overlay(ground, [*attacks, quiet], NOW)
        assert unsaid.evidence == "the shared checkout has another README.md"
        assert {line.attack.name: line.evidence for line in lines if line.got_through} == {
            "hard-links": "../base/linked is a second name of it",
            "kernel-directory": "it is there",
            "redirections": "the mark redirect is made",
            "shared-checkout": "a file of it is changed",
            "upper-directory": "a file appeared in it",
            "whiteouts": "the mark is made",
        }

    def test_attacks_on_layers_are_not_tried_where_there_are_none(
        self, target: Target, careless: Careless
    ) -> None:
        with prepared(replace(target, sandbox=careless)) as ground:
            lines = try_overlay(ground, attacks_of("overlay"), NOW)
        assert {(line.status, line.evidence) for line in lines} == {
            ("not tried", "worktrees cannot be overlays here")
        }


class TestMeasure:
    def test_answers_get_through_to_a_reader_that_opens_anything(
        self, target: Target, careless: Careless
    ) -> None:
        with prepared(replace(target, sandbox=careless)) as ground:
            lines = try_measure(ground, attacks_of("measure"), NOW, read_anything)
        assert {line.attack.name: line.evidence for line in lines if line.got_through} == {
            "answer-directory": "the run ends: Is a directory",
            "answer-hard-link": "the host reads a file of the host",
            "answer-huge": "the host reads more than an answer may have",
            "answer-link": "the host reads a file of the host",
            "answer-link-above": "the host reads a file of the host",
            "answer-pipe": "the run ends: it never ends",
        }


class TestSession:
    def test_everything_gets_through_to_a_host_that_takes_the_home_as_it_is(
        self, target: Target, careless: Careless
    ) -> None:
        with prepared(replace(target, sandbox=careless)) as ground:
            lines = try_session(ground, attacks_of("session"), NOW, take_whole_home)
        found = {line.attack.name: line.evidence for line in lines if line.got_through}
        secret = "the next agent reads a file of the host"
        assert found.pop("session-neighbours").startswith("the next agent gets .claude.json, ")
        assert found.pop("session-codex").startswith("the next agent gets AGENTS.md, ")
        assert found.pop("session-codex-link").startswith("the next agent gets elsewhere, ")
        assert found.pop("session-gemini").startswith("the next agent gets .env, ")
        assert found.pop("session-opencode").startswith("the next agent gets cache, ")
        assert found == {
            "session-directory": f"the next agent gets projects/-task/{ID}.jsonl",
            "session-hard-link": secret,
            "session-huge": f"the next agent gets projects/-task/{ID}.jsonl",
            "session-key": "the next agent reads the key",
            "session-link": secret,
            "session-link-above": f"the next agent gets elsewhere, elsewhere/{ID}.jsonl",
            "session-of-another": "the agent read the conversation of another task",
            "session-pipe": f"the next agent gets projects/-task/{ID}.jsonl",
        }


def take_whole_home(_ground: Ground, worktree: Worktree, following: Worktree, _kept_in: SessionPlace) -> None:
    """What not to do: give the next agent all that the last one left."""
    following.home.rmdir()
    subprocess.run(["cp", "-rL", worktree.home, following.home], check=True)


def read_anything(_ground: Ground, worktree: Worktree) -> bytes:
    """What not to do: open whatever an agent has left."""
    read = subprocess.run(
        ["timeout", "1", "head", "-c", str(2 * LARGEST_ANSWER), worktree.output / OUTPUT], capture_output=True
    )
    if read.returncode:
        raise OSError(read.stderr.decode().rpartition(": ")[2].strip() or "it never ends")
    return read.stdout


READS_ANYTHING = r"""
cd "$cobbler_base/$cobbler_directory"
printf %s "$cobbler_last" >&6
if [ -d "$cobbler_name" ]; then cat "$cobbler_name"/*; else cat "$cobbler_name"; fi >&6
printf %s "$cobbler_last" >&6
exit $cobbler_status
"""
"""The end of the lifeline, with a file that it collects without a look."""


class TestGate:
    def changed(self, target: Target, **changes: Any) -> Target:
        altered = Altered(target.sandbox, **changes)
        return replace(target, sandbox=altered, gate=replace(target.gate, sandbox=altered))

    @pytest.mark.parametrize("name", ["forged-messages", "killed-judge", "judges-files"])
    def test_a_verdict_that_is_believed_passes(self, target: Target, name: str) -> None:
        with prepared(self.changed(target, end=believed)) as ground:
            line = try_gate(ground, attack_of("gate", name), NOW)
        assert (line.status, line.evidence) == ("NOT HELD", "a gate that fails has passed")

    @pytest.mark.matrix("costly")
    @pytest.mark.parametrize(
        "name", ["report-link", "report-link-above", "report-directory", "report-huge", "report-pipe"]
    )
    def test_a_report_that_is_read_as_it_is_is_believed(
        self, target: Target, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        careful, place, _ = lifeline.SCRIPT.partition('cd -P "$cobbler_base"')
        assert place
        monkeypatch.setattr(lifeline, "SCRIPT", careful + READS_ANYTHING)
        monkeypatch.setattr(gate, "_LONGEST", 2.0)
        with prepared(target) as ground:
            line = try_gate(ground, attack_of("gate", name), NOW)
        waits = name in ("report-huge", "report-pipe")
        believed = (
            "the host was kept busy: test timed out after 2s" if waits else "the host believes: 1 passed"
        )
        assert (line.status, line.evidence) == ("NOT HELD", believed)

    def test_a_report_with_a_name_is_forged(self, target: Target) -> None:
        named = self.changed(target, job=lambda job: replace(job, held=False))
        with prepared(named) as ground:
            line = try_gate(ground, attack_of("gate", "report-forged"), NOW)
        assert (line.status, line.evidence) == ("NOT HELD", "the host believes: 2 passed")

    def test_a_process_of_the_build_that_stays_changes_what_is_tested(self, target: Target) -> None:
        keeping = replace(target, gate=replace(target.gate, keeps_services=True))
        with prepared(keeping) as ground:
            line = try_gate(ground, attack_of("gate", "left-by-build"), NOW)
        assert (line.status, line.evidence) == ("NOT HELD", "the process still writes")

    def test_a_report_of_the_tree_that_stays_is_believed(self, target: Target) -> None:
        def keeps_it(job: Job) -> Job:
            return replace(job, argv=tuple(word.replace("rm -f -- ", ": ") for word in job.argv))

        with prepared(self.changed(target, job=keeps_it)) as ground:
            line = try_gate(ground, attack_of("gate", "report-missing"), NOW)
        assert (line.status, line.evidence) == ("NOT HELD", "the host believes: 1 passed")

    @pytest.mark.matrix("costly")
    def test_a_tree_that_is_mounted_writable_changes(self, target: Target) -> None:
        def writable(job: Job) -> Job:
            return replace(job, mounts=tuple(replace(mount, mode="rw") for mount in job.mounts))

        with prepared(self.changed(target, job=writable)) as ground:
            lines = [
                try_gate(ground, attack_of("gate", name), NOW)
                for name in ("changed-tree", "late-change", "next-gate")
            ]
        assert not_held(lines) == {"changed-tree", "late-change", "next-gate"}

    def test_a_keyring_stays_for_the_next_gate_under_podmans_own_filter(
        self, own_podman: Podman, minimal_image: str, place: Path
    ) -> None:
        plain = target_of(own_podman, minimal_image, place, ["--security-opt=seccomp=unconfined"])
        with prepared(plain) as ground:
            line = try_gate(ground, attack_of("gate", "next-keys"), NOW)
        assert (line.status, line.evidence) == ("NOT HELD", "the keyring of the gate before is there")

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can take this protection out")
    def test_a_verdict_in_memory_that_can_be_written_passes(
        self, own_podman: Podman, minimal_image: str, place: Path
    ) -> None:
        with prepared(target_of(own_podman, minimal_image, place, ["--privileged", "--user=0:0"])) as ground:
            line = try_gate(ground, attack_of("gate", "verdict-in-memory"), NOW)
        assert (line.status, line.evidence) == ("NOT HELD", "a gate that fails has passed")

    @pytest.mark.skipif(os.getuid() != 0, reason="the mounts are root's")
    def test_a_gate_with_a_network_and_the_mounts_of_the_host_tells_everything(
        self, own_podman: Podman, minimal_image: str, place: Path
    ) -> None:
        arguments = ["--network=host", "--user=0:0", f"--volume={place}:{place}"]
        careless = target_of(own_podman, minimal_image, place, arguments)
        opened = self.changed(careless, job=lambda job: replace(job, network=Network.OPEN))
        with prepared(opened) as ground:
            lines = [
                try_gate(ground, attack_of("gate", name), NOW) for name in ("gate-network", "gate-secrets")
            ]
        assert not_held(lines) == {"gate-network", "gate-secrets"}


class TestJob:
    def line_of(self, target: Target, name: str) -> tuple[str, str]:
        with prepared(target) as ground:
            line = try_job(ground, attack_of("job", name), NOW)
        return line.status, line.evidence

    @pytest.mark.parametrize("name", ["background", "ignore-timeout", "endless-output"])
    def test_a_process_that_stays_is_noticed(self, target: Target, careless: Careless, name: str) -> None:
        found = self.line_of(replace(target, sandbox=careless), name)
        assert found == ("NOT HELD", "a process still writes after the job has ended")

    @pytest.mark.parametrize("name", ["kill-everything", "forged-success"])
    def test_an_end_that_is_believed_is_noticed(self, target: Target, name: str) -> None:
        found = self.line_of(replace(target, sandbox=Altered(target.sandbox, end=believed)), name)
        assert found == ("NOT HELD", "the job is reported as a success")

    @pytest.mark.matrix("costly")
    @pytest.mark.parametrize(
        "name", ["many-processes", "much-memory", "full-disk", "full-memory-disk", "full-worktree"]
    )
    def test_a_job_without_limits_takes_what_it_wants(
        self, own_podman: Podman, minimal_image: str, place: Path, name: str
    ) -> None:
        target = target_of(own_podman, minimal_image, place, ["--shm-size=512m"])
        unlimited = Altered(target.sandbox, job=lambda job: replace(job, limits=Limits(wall=30)))
        assert self.line_of(replace(target, sandbox=unlimited), name)[0] == "NOT HELD"

    def test_a_job_whose_pipe_stays_open_outlives_its_run(
        self, own_podman: Podman, minimal_image: str, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attacks_on_jobs, "_END_WITHIN", 2.0)
        program = place / "podman"
        program.write_text(
            "#!/bin/sh\n"
            'case $1 in run | start) { cat; sleep 30; } | podman "$@" ;; *) exec podman "$@" ;; esac\n'
        )
        program.chmod(0o755)
        target = target_of(replace(own_podman, program=str(program)), minimal_image, place)
        assert self.line_of(target, "outlive-runner") == ("NOT HELD", "the container is still there")

"""The node's half of a site: it has the objects and the files of one place, and answers the coordinator.

It runs by itself, of the code that came by its stdin. On the node it is ``LocalSite``. When the coordinator
is gone, the job ends, and the files stay for the next run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any, Final

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, SandboxError
from pytest_cobbler.files import make_private
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.forsaken import works_in
from pytest_cobbler.repository.git import init_bare
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import read_facts
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.pod import PodSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.sites.archiving import write_archive
from pytest_cobbler.sites.frames import ANSWER, BEAT, CALL, CANCEL, Flow, Link, LinkBroken
from pytest_cobbler.sites.gate_on_node import GateOnNode, Runner
from pytest_cobbler.sites.local import LocalPlace, LocalSite
from pytest_cobbler.sites.patience import Lease, Patience, now
from pytest_cobbler.sites.relaying import Relay
from pytest_cobbler.sites.values import completed_to, error_to, job_from

__all__ = ["main"]

KNOWN: Final = "refs/cobbler/known/"
"""References on the commits that the coordinator has sent, so that the next pack can leave them out."""

_MOST_KNOWN: Final = 50
_CHUNK: Final = 256 * 1024
_POD: Final = "pod"
"""The name of the place of a pod, and of its generation: each of an agent's pods has it at the same path."""
_DAY: Final = 24 * 3600.0
_LOOK: Final = 0.25
"""Seconds between two looks at the lease."""


class _Pipes:
    """The stdin and stdout of this process as a stream."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)  # what anything prints here must not be taken for a frame
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN | select.POLLHUP)

    def read(self, seconds: float) -> bytes | None:
        return os.read(0, _CHUNK) if self._poll.poll(seconds * 1000) else None

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view) :]

    def finish(self) -> None:
        os.close(self._out)

    def close(self) -> None:
        self.finish()

    @property
    def trouble(self) -> str:
        return ""

    @property
    def has_failed(self) -> bool:
        return False


class _Node:
    """Answers calls, each in a thread of its own, about one place."""

    def __init__(self, name: str, directory: Path) -> None:
        self._name = name
        self._directory = directory
        self._link = Link(_Pipes(), self._take, first=1)
        self._lease = Lease(Patience().lease)
        self._cancellation = Cancellation()
        self._cancellations: dict[int, Cancellation] = {}
        self._threads: list[threading.Thread] = []
        self._generation = ""
        self._is_pod = False
        self._base: Path
        self._repository: Repository
        self._runner: Sandbox
        self._site: LocalSite
        self._place: LocalPlace
        self._gate: GateOnNode | None = None
        self._run_id = ""

    def run(self) -> None:
        """Answer until the coordinator is gone, then end what runs."""
        self._beat()
        with contextlib.suppress(LinkBroken):
            self._link.pump(lambda: not self._lease.is_over, _LOOK)
        self._cancellation.cancel()
        for thread in self._threads:
            thread.join()
        if self._gate:
            self._gate.remove()

    def _beat(self) -> None:
        self._link.send(BEAT, 0, struct.pack("!d", now()))

    def _take(self, kind: bytes, number: int, data: bytes) -> None:
        if kind == BEAT:
            self._lease.renew(*struct.unpack("!d", data))
            self._beat()
        elif kind == CANCEL:
            if number in self._cancellations:
                self._cancellations[number].cancel()
        elif kind == CALL:
            call = json.loads(data)
            # Before anything else is read: the flows of a call follow it.
            flows = {name: self._link.flow(flow) for name, flow in call["flows"].items()}
            self._cancellations[number] = Cancellation(self._cancellation)
            thread = threading.Thread(target=self._answer, args=(number, call, flows))
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            thread.start()

    def _answer(self, number: int, call: Mapping[str, Any], flows: Mapping[str, Flow]) -> None:
        answer: dict[str, Any]
        try:
            handler: Callable[..., Any] = getattr(self, f"call_{call['name']}")
            value = handler(**call["arguments"], **flows, cancellation=self._cancellations[number])
            answer = {"value": value}
        except Exception as error:  # whatever it is, the coordinator waits for an answer
            answer = {"error": error_to(error)}
        with contextlib.suppress(LinkBroken):
            for flow in flows.values():
                flow.finish()
                flow.close()
            self._link.send_json(ANSWER, number, answer)
        self._cancellations.pop(number, None)

    # -- what the coordinator calls

    def call_begin(
        self,
        *,
        repository: str,
        object_format: str,
        directory: str,
        shallow: str,
        sandbox: Mapping[str, Any],
        site: Mapping[str, Any],
        lease: float,
        cancellation: Cancellation,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Make the site; ``repository`` names the coordinator's."""
        self._lease.renew(0.0, lease)
        os.environ["GIT_CONFIG_NOSYSTEM"] = "1"
        self._base = place = self._directory / repository
        make_private(place)
        project = _make_repository(place, object_format)
        if shallow:
            (project / ".git" / "shallow").write_text(shallow, "utf-8")
        work = Path(sandbox["files"]) / "nodes" if sandbox["files"] else place
        self._repository = Repository(project / directory, work / "work")
        self._repository.make_work_dir()
        runner = _sandbox(sandbox, project)
        self._runner = runner
        self._run_id = sandbox["run_id"]
        self._is_pod = pod = bool(sandbox["files"])
        self._generation = site["generation"]
        if pod:
            site = {**site, "generation": _POD}
        self._site = LocalSite(self._repository, sandbox=runner, large=None, at_its_path=pod, **site)
        return {
            "node": self._name,
            "engine": runner.check_engine(),
            "description": runner.description,
            "capabilities": sorted(one.name for one in runner.capabilities),
            "known": list(self._repository.list_refs(KNOWN.rstrip("/")).values()),
        }

    def call_check(self, *, cancellation: Cancellation) -> None:  # noqa: ARG002
        """Run a job in the sandbox."""
        self._runner.preflight()

    def call_open(
        self,
        *,
        name: str,
        parent: str,
        pack: Flow,
        cancellation: Cancellation,  # noqa: ARG002
        **more: Any,
    ) -> dict[str, Any]:
        """Take the objects in, and check the files out."""
        self._take_in(pack)
        self._keep_known(parent)
        self._place = self._site.open(_POD if self._is_pod else name, parent=parent, **more)
        # While the agent works. git decides whether there is something to do.
        threading.Thread(target=self._collect_garbage, daemon=True).start()
        return self._facts()

    def _take_in(self, pack: Flow) -> None:
        with tempfile.TemporaryFile(dir=self._repository.work_dir) as objects:
            while data := pack.read():
                objects.write(data)
            if objects.tell():
                objects.seek(0)
                self._repository.objects.run("index-pack", "--strict", "--stdin", "--fix-thin", stdin=objects)

    def call_gate_engine(self, *, image: str | None, cancellation: Cancellation) -> dict[str, Any]:  # noqa: ARG002
        """What runs jobs of an image here."""
        return asdict(self._runner.engine(image))

    def call_gate_tree(self, *, tree: str, pack: Flow, cancellation: Cancellation) -> dict[str, str]:  # noqa: ARG002
        """Write a tree for its gate."""
        self._take_in(pack)
        self._keep_known(tree)
        if self._gate is None:
            self._gate = GateOnNode(self._repository, self._runner, self._run_id)
        return self._gate.write(tree)

    def call_gate_run(
        self, *, job: Mapping[str, Any], stdout: Flow, stderr: Flow, cancellation: Cancellation
    ) -> dict[str, Any]:
        """Run a gate on the tree that was written."""
        assert self._gate
        return self._run(self._gate, job, stdout, stderr, cancellation)

    def _collect_garbage(self) -> None:
        with contextlib.suppress(CobblerError):  # the next place tries it again
            self._repository.objects.run("gc", "--auto", "--quiet")

    def _keep_known(self, commit: str) -> None:
        """Hold ``commit`` for later jobs, beside those that came last."""
        refs = self._repository.list_refs(KNOWN.rstrip("/"))
        times = sorted(ref.removeprefix(KNOWN) for ref, one in refs.items() if one != commit)
        old = [f"{KNOWN}{one}" for one in times[: -_MOST_KNOWN + 1]]
        same = [ref for ref, one in refs.items() if one == commit]
        self._repository.set_refs({f"{KNOWN}{now():020.6f}-{os.getpid()}": commit})
        self._repository.drop_refs([*old, *same])

    def call_held(self, *, cancellation: Cancellation) -> dict[str, Any]:  # noqa: ARG002
        """What the node has of the repository, and the work that may be nowhere else."""
        sizes = [path.lstat().st_size for path in self._base.rglob("*")]
        return {"bytes": sum(sizes), "works": list(works_in(self._repository.work_dir))}

    def call_clean(
        self,
        *,
        everything: bool,
        cancellation: Cancellation,
    ) -> dict[str, Any]:
        """Remove it, unless there is work, and the code of node's halves that no run has used for a day."""
        held = self.call_held(cancellation=cancellation)
        if everything or not held["works"]:
            remove_tree(self._base)
        for code in (self._directory / "code").glob("*"):
            if time.time() - code.stat().st_mtime > _DAY:
                remove_tree(code)
        return held

    def call_leftover(self, *, name: str, cancellation: Cancellation) -> dict[str, Any] | None:  # noqa: ARG002
        """A place that an earlier run left, if it is there."""
        work_dir = self._repository.work_dir
        worktree = read_facts(work_dir / self._generation / name, work_dir)
        if worktree is None or not worktree.written.is_dir():
            return None
        self._place = self._site.place(worktree)
        return self._facts()

    def call_take_back(
        self,
        *,
        task: str,
        cancellation: Cancellation,  # noqa: ARG002
    ) -> list[str]:
        """Put the places of a task back that were moved aside."""
        return sorted(self._site.take_back(lambda other: other != task))

    def _facts(self) -> dict[str, Any]:
        place = self._place
        return {
            "tree_id": place.tree_id,
            "purpose": dict(place.purpose),
            "location": f"{self._name}:{place.location}",
            "checkout": str(place.checkout),
            "directory": place.directory,
            "output": str(place.output),
            "home": str(place.home),
        }

    def call_run(
        self, *, job: Mapping[str, Any], stdout: Flow, stderr: Flow, cancellation: Cancellation
    ) -> dict[str, Any]:
        return self._run(self._place.sandbox, job, stdout, stderr, cancellation)

    def _run(
        self,
        runner: Runner,
        job: Mapping[str, Any],
        stdout: Flow,
        stderr: Flow,
        cancellation: Cancellation,
    ) -> dict[str, Any]:
        def error_line(line: bytes) -> None:
            stderr.write(line + b"\n")

        built = job_from(job, Relay(self._link).serve, stdout=stdout, on_error_line=error_line)
        completed = runner.run(built, cancellation)
        if completed.cause == Ending.CANCELLED and self._cancellation.requested:
            completed = replace(completed, cause=Ending.LOST)  # by the end of the lease or of the stream
        return completed_to(completed)

    def call_has_files(self, *, cancellation: Cancellation) -> bool:  # noqa: ARG002
        return self._place.has_files

    def call_put(self, *, name: str, content: Flow, cancellation: Cancellation) -> str:  # noqa: ARG002
        return str(self._place.put(name, _whole(content)))

    def call_take(
        self,
        *,
        path: str,
        most: int,
        content: Flow,
        cancellation: Cancellation,  # noqa: ARG002
    ) -> None:
        content.write(self._place.take(path, most))

    def call_find(self, *, pattern: str, cancellation: Cancellation) -> str:  # noqa: ARG002
        return self._place.find(pattern)

    def call_renew_home(
        self,
        *,
        notes: Mapping[str, str],
        files: Sequence[Sequence[Any]],
        contents: Flow,
        cancellation: Cancellation,  # noqa: ARG002
    ) -> None:
        content = _whole(contents)
        given, start = {}, 0
        for name, size in files:
            given[name] = content[start : start + size]
            start += size
        self._place.renew_home(notes, given)

    def call_pack(self, *, left_out: Sequence[str], pack: Flow, cancellation: Cancellation) -> None:
        with tempfile.TemporaryFile(dir=self._repository.work_dir) as packed:
            self._place.pack(packed, tuple(left_out), cancellation)
            packed.seek(0)
            _copy(packed, pack)

    def call_keep(self, *, why: str, again: bool, cancellation: Cancellation) -> str:  # noqa: ARG002
        return f"{self._name}:{self._place.keep(why, again=again)}"

    def call_archive(self, *, archive: Flow, cancellation: Cancellation) -> None:  # noqa: ARG002
        write_archive(self._place.worktree, archive)

    def call_remove(self, *, cancellation: Cancellation) -> None:  # noqa: ARG002
        self._place.remove()
        self._site.close()


def _make_repository(place: Path, object_format: str) -> Path:
    """A repository without files in which ``LocalSite`` can work; several nodes' halves may do this."""
    project = place / "repository"
    if not project.is_dir():
        with tempfile.TemporaryDirectory(dir=place) as directory:
            draft = Path(directory) / "repository"
            # Each place brings a pack. In the foreground, so that no node's half leaves a process behind.
            settings = {"core.bare": "false", "gc.autoDetach": "false"}
            init_bare(draft / ".git", object_format=object_format, alternates=(), settings=settings)
            with contextlib.suppress(OSError):
                draft.rename(project)
    if not project.is_dir():
        raise SandboxError(f"cannot make {project}")
    return project


def _sandbox(settings: Mapping[str, Any], project: Path) -> Sandbox:
    if settings["files"]:
        return PodSandbox(settings["image"], forbidden=[tuple(one) for one in settings["forbidden"]])
    if not settings["image"]:
        return HostSandbox(repository=settings["repository"], run_id=settings["run_id"])
    more = {name: settings[name] for name in ("repository", "run_id", "arguments", "user_namespaces")}
    return PodmanSandbox(settings["image"], owner=job_owner(project), **more)


def _whole(flow: Flow) -> bytes:
    parts = []
    while data := flow.read():
        parts.append(data)
    return b"".join(parts)


def _copy(file: IO[bytes], flow: Flow) -> None:
    while data := file.read(_CHUNK):
        flow.write(data)


def main(name: str, directory: str) -> None:
    """Run the node's half to its end."""
    try:
        _Node(name, Path(directory)).run()
    except (CobblerError, OSError) as error:
        sys.stderr.write(f"{error}\n")
    finally:
        sys.stderr.flush()
        os._exit(0)  # threads may still wait for connections

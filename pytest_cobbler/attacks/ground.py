"""The ground of the attacks: a worthless repository, and what an attack must neither read, write nor reach.

Each of these belongs to the host and is a canary: random words in files, in the configuration of the
repository, in a command line and in the key; an empty directory; listening sockets; a process.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import shlex
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

from pytest_cobbler.agents.access import PORT, Access
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.attacks.attack import Attack, helpers
from pytest_cobbler.attacks.services import Listener, Upstream
from pytest_cobbler.doctor.proofs import scratch_repository
from pytest_cobbler.files import make_private
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.repository.directories import chown_tree
from pytest_cobbler.repository.git import Git, init_bare
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.names import branch_ref
from pytest_cobbler.repository.pins import PINS
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.sessions import SESSIONS
from pytest_cobbler.repository.worktrees import Worktree, Worktrees
from pytest_cobbler.sandbox.base import Loopback, Network, Sandbox
from pytest_cobbler.sandbox.site import Place, Site
from pytest_cobbler.sites.local import LocalSite
from pytest_cobbler.wiring.parts import SandboxSettings, local_site

__all__ = ["Ground", "Target", "prepared"]

BRANCH: Final = "doctor"
PROGRAM: Final = "attack-program"
"""The file of the program that makes system calls, among an agent's files."""
ATTACKER: Final = Identity.of(Person(name="Attacks", email="attacks@localhost"))
TREE: Final[Mapping[str, bytes]] = {
    ".gitattributes": b"*.filtered filter=base diff=base merge=base\n",
    "README.md": b"A worthless project.\n",
    "src/app.py": b"print('app')\n",
    "src/util.py": b"print('util')\n",
}
"""The files that attacked tasks begin with."""

_ENDLESS: Final = "import sys, time; time.sleep(600)"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is attacked: the parts of a run as the user has configured them.

    Args:
        place: a directory for everything that is made; it is on the disk of ``work_dir``.
        sandbox: of agents, harvest and gate.
        network: of agents that have no proxy.
        proxied: whether agents reach the API, and nothing else, through the proxy.
        gate: its image, network and environment are used, but not its steps.
        mortal: the sandbox of a job whose process is killed.
        witness: the same sandbox in another run.
        shared: ``core.sharedRepository`` of the user's repository; may be empty.
        nodes: the site of a repository whose agents work on nodes, for a block; ``None``: they work here.
    """

    place: Path
    sandbox: Sandbox
    network: Network
    proxied: bool
    gate: Gate
    mortal: SandboxSettings
    witness: Sandbox
    shared: str = ""
    nodes: Callable[[Repository], AbstractContextManager[Site]] | None = None


@dataclass(kw_only=True)
class Ground:
    """What the attacks of one run aim at; every field is of the host."""

    target: Target
    repository: Repository
    outside: Path
    other: Path
    tip: str
    key: str
    private: str
    """A commit of another repository of the host."""
    words: Mapping[str, str]
    """A random word for each thing that is to stay secret; an output with the word shows that it was read."""
    loopback: Listener
    addresses: Listener
    abstract: Listener
    engine: Listener
    upstream: Upstream
    access: Access
    process: subprocess.Popen[bytes]
    nodes: Site | None = None
    before: dict[str, bytes] = field(default_factory=dict)
    before_outside: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    @property
    def proof(self) -> Path:
        """A directory in which everyone may write and nothing may appear."""
        return self.outside / "proof"

    @property
    def other_session(self) -> Path:
        """The conversation of another task, kept by the host."""
        return self.repository.work_dir / SESSIONS / BRANCH / "other" / "1-session"

    @property
    def worktrees(self) -> Worktrees:
        return self._site.worktrees

    @property
    def _site(self) -> LocalSite:
        return local_site(self.repository, BRANCH, self.target.sandbox, at_its_path=True)

    def place(self, worktree: Worktree) -> Place:
        """A worktree as a run sees it."""
        return self._site.place(worktree)

    @property
    def network(self) -> Network | Loopback:
        """The network of an agent's job."""
        return self.access.proxy().network if self.target.proxied else self.target.network

    def worktree(self, name: str) -> Worktree:
        """A worktree of the tip, as for a task."""
        return self.worktrees.create(
            name, parent=self.tip, tree=self.repository.tree_of(self.tip), purpose={"task": name}
        )

    def variables(self, tree: Path) -> dict[str, str]:
        """The variables of the scripts in ``tree``. No value is a word that only an attack could know."""
        return {
            "TREE": str(tree),
            "CALL": str(tree / PROGRAM),
            "SETUID": str(tree / "setuid-program"),
            "OUTSIDE": str(self.outside),
            "OTHER": str(self.other),
            "REPOSITORY": str(self.repository.root),
            "WITNESS": str(self.process.pid),
            "LOOPBACK": _internet(self.loopback.port, "127.0.0.1"),
            "ADDRESSES": " ".join(_internet(self.addresses.port, name) for name in _own_addresses()),
            "ABSTRACT": "x0100" + b"\0".hex() + self.abstract.name.encode().hex(),
            "HOST_PORT": str(self.loopback.port),
            "PROXY": _internet(PORT, "127.0.0.1"),
            "PROXY_PORT": str(PORT),
            "ABSTRACT_LENGTH": str(len(self.abstract.name) + 3),
        }

    def place_programs(self, worktree: Worktree) -> None:
        """Put the program that makes system calls into a worktree, once more as setuid root if possible."""
        content = program_of_calls()
        if content is None:
            return  # then the scripts say that it does not run
        program = worktree.written / PROGRAM
        program.write_bytes(content)
        program.chmod(0o755)
        if self.target.sandbox.owner:
            os.chown(program, *self.target.sandbox.owner)
        if os.geteuid() == 0:
            setuid = worktree.written / "setuid-program"
            setuid.write_bytes(content)
            setuid.chmod(0o6755)

    def read_words(self, output: bytes) -> list[str]:
        """What the output shows that no attack can know."""
        return [what for what, word in self.words.items() if word.encode() in output]

    def harm(self, attack: Attack, worktree: Worktree | None) -> str:
        """What the host sees of an attack that was carried out; empty if there is nothing."""
        if (proof := self.proof / attack.name).exists():
            return f"{proof} was written"
        for listener in (self.loopback, self.addresses, self.abstract):
            if listener.heard(attack.name):
                return f"it reached {listener.shown}"
        if attack.name == "signal-host-process" and self.process.poll() is not None:
            return "the process ended"
        if attack.name == "engine-socket" and self.engine.connections:
            return "the socket of the engine was reached"
        if (self.other / attack.name).exists():
            return "a file appeared in the worktree of another task"
        if attack.name in self.other_session.read_text("utf-8"):
            return "the conversation of another task was changed"
        if attack.name == "write-bookkeeping" and worktree:
            changed = [
                name for name in ("index", "worktree.json", "gitfile") if self._is_marked(worktree, name)
            ]
            if changed or (worktree.directory / attack.name).exists():
                return "the host's files beside the worktree were changed"
        if attack.name in ("write-repository", "write-objects") and (changed := self.changed()):
            return f"changed in the repository: {', '.join(changed)}"
        return ""

    def changed(self) -> list[str]:
        """The files of the repository that changed since the attacks began."""
        now = _snapshot(self.repository.root)
        return sorted(name for name in {*self.before, *now} if self.before.get(name) != now.get(name))

    def _is_marked(self, worktree: Worktree, name: str) -> bool:
        return b"write-bookkeeping" in (worktree.directory / name).read_bytes()

    def changed_outside(self) -> list[str]:
        """Files of the host, outside of every mount, that appeared, went, or have another mode or content."""
        return sorted(
            {name for name, _ in self.before_outside.items() ^ _modes_and_contents(self.outside).items()}
        )


@contextlib.contextmanager
def prepared(target: Target) -> Iterator[Ground]:
    """Make the ground, and remove it at the end."""
    words = {what: secrets.token_hex(16) for what in _WORDS}
    key = f"sk-ant-api03-{words['the key']}"
    repository = scratch_repository(target.place, target.shared)
    outside, other = target.place / "outside", repository.work_dir / BRANCH / "other" / "tree"
    for directory, mode in ((outside, 0o755), (outside / "proof", 0o777), (other, 0o777)):
        directory.mkdir(parents=True)
        directory.chmod(mode)
    (outside / "secret").write_text(words["a file of the host"], "utf-8")
    _make_victim(outside / "victim", target.sandbox.owner)
    (other / "secret").write_text(words["the worktree of another task"], "utf-8")
    tip = _fill(repository, words["the configuration of the repository"], outside / "proof")
    private = _make_private(outside / "private.git", words["another repository of the host"])
    if target.sandbox.owner:
        chown_tree(other, target.sandbox.owner)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        argv = [sys.executable, "-c", _ENDLESS, words["a process of the host"]]
        process = subprocess.Popen(argv, start_new_session=True, stdin=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.kill)
        ground = Ground(
            target=target,
            repository=repository,
            outside=outside,
            other=other,
            tip=tip,
            key=key,
            private=private,
            words=words,
            loopback=stack.enter_context(Listener.on_address("127.0.0.1")),
            addresses=stack.enter_context(Listener.on_address("0.0.0.0")),
            abstract=stack.enter_context(Listener.on_path(f"\0cobbler-{secrets.token_hex(8)}")),
            engine=stack.enter_context(Listener.on_path(str(outside / "engine"))),
            upstream=upstream,
            access=Access(
                credential=Credential(kind="api_key", value=key, source="attacks"),
                base_url=upstream.address,
                proxied=target.proxied,
            ),
            process=process,
            nodes=stack.enter_context(target.nodes(repository)) if target.nodes else None,
        )
        make_private(ground.other_session.parent)
        ground.other_session.write_text(f"{words[_OTHER_SESSION]}\n", "utf-8")
        ground.before = _snapshot(repository.root)
        ground.before_outside = _modes_and_contents(outside)
        yield ground


_IS_OURS: Final = re.compile(rf"\.git/(objects/|(logs/)?refs/heads/attack-|{PINS})")
"""Files of the repository that the host itself makes, perhaps for another attack at the same time."""

_OTHER_SESSION: Final = "the conversation of another task"
_WORDS: Final = (
    _OTHER_SESSION,
    "a file of the host",
    "the worktree of another task",
    "the configuration of the repository",
    "another repository of the host",
    "a process of the host",
    "the key",
)


def program_of_calls() -> bytes | None:
    """The program that makes system calls; ``None`` if there is none for this machine."""
    data = resources.files("pytest_cobbler") / "data" / "attacks" / f"call-{platform.machine()}"
    return data.read_bytes() if data.is_file() else None


def script_of(attack: Attack, variables: Mapping[str, str]) -> str:
    """An attack as one text for ``sh``."""
    given = {**variables, "ATTACK": attack.name}
    return "\n".join(
        [*(f"{name}={shlex.quote(value)}" for name, value in given.items()), helpers(), attack.script]
    )


def _fill(repository: Repository, word: str, proof: Path) -> str:
    """Commit the files that tasks begin with, and configure what only the user's own git should follow."""
    git: Git = repository.objects.using(index=repository.work_dir / "attacks.index")
    repository.work_dir.mkdir(parents=True, exist_ok=True)
    lines = b""
    for path, content in TREE.items():
        blob = git.text("hash-object", "-w", "--stdin", "--no-filters", stdin=content)
        lines += f"100644 {blob}\t{path}\0".encode()
    git.run("update-index", "-z", "--index-info", stdin=lines)
    first = repository.commit_of(branch_ref(BRANCH))
    tip = repository.commit(git.text("write-tree"), [first], "Files\n", ATTACKER)
    repository.set_ref(branch_ref(BRANCH), tip)
    with (repository.git_dir / "config").open("a", encoding="utf-8") as file:
        file.write(f'[http]\n\textraHeader = "AUTHORIZATION: basic {word}"\n')
        file.write("[core]\n\thooksPath = .hooks\n")
        for name in ("users", "base"):
            command = f"touch {proof / name}-filter; cat"
            file.write(f'[filter "{name}"]\n\tclean = "{command}"\n\tsmudge = "{command}"\n')
    return tip


def _make_victim(directory: Path, owner: tuple[int, int] | None) -> None:
    """Make a directory and a file that the user of jobs might change, if there were a way to them."""
    directory.mkdir()
    (directory / "file").touch(mode=0o400)
    directory.chmod(0o500)
    if owner:
        chown_tree(directory, owner)


def _modes_and_contents(outside: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below ``outside``, except where anyone may write."""
    found = {}
    for path in outside.rglob("*"):
        name = str(path.relative_to(outside))
        if name != "proof" and not name.startswith("proof/"):
            content = path.read_bytes() if path.is_file() else b""
            found[name] = (path.lstat().st_mode, content)
    return found


def _make_private(directory: Path, word: str) -> str:
    """Make a bare repository with a file in its one commit; the commit."""
    init_bare(directory, object_format="sha1", alternates=())
    git = Git(directory)
    blob = git.text("hash-object", "-w", "--stdin", stdin=word.encode())
    tree = git.text("mktree", stdin=f"100644 blob {blob}\tsecret\n".encode())
    completion = git.run("commit-tree", tree, stdin=b"Private\n", environment=ATTACKER.environment)
    return completion.text.strip()


def _snapshot(root: Path) -> dict[str, bytes]:
    """Every file of a repository except its objects."""
    found = {}
    for directory, _, names in os.walk(root):  # which passes over a directory that the host has just removed
        for path in (Path(directory, name) for name in names):
            name = str(path.relative_to(root))
            if not _IS_OURS.match(name) and path.is_file():
                found[name] = path.read_bytes()
    return found


def _internet(port: int, address: str) -> str:
    return "x0200" + struct.pack(">H", port).hex() + socket.inet_aton(address).hex() + "00" * 8


def _own_addresses() -> list[str]:
    """The addresses of this machine besides its loopback: the one of its default route."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return [str(probe.getsockname()[0])]
    return []

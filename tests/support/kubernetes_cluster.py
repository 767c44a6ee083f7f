"""Kubernetes on this machine: all servers and one node, started in some ten seconds.

Everything is in a network namespace of its own, which this machine reaches by one pair of interfaces.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pytest_cobbler.sandbox.podman_environment import podman_environment
from tests.support.images import podman

__all__ = ["NODE", "KubernetesCluster", "kubernetes"]

VERSION = "1.34.4"
NODE = "node-1"
_HERE = Path(__file__).parent / "kubernetes"
_PROGRAMS = ("containerd", "ctr", "etcd", "runc", "ip", "unshare", "nsenter", "openssl", "setpriv")
_PLUGINS = Path("/usr/lib/cni")
_TOKEN = "token-of-the-tests"
_WITH_US = ("setpriv", "--pdeathsig=KILL")
"""A process that is started so ends with the tests, however they end."""
_PAUSE = "localhost/cobbler-test-pause:1"

_CONTAINERD = """\
version = 2
root = "{directory}/containerd/root"
state = "{directory}/containerd/state"
[grpc]
  address = "{directory}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_selinux = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
[plugins."io.containerd.internal.v1.opt"]
  path = "{directory}/containerd/opt"
"""
_NETWORK = """\
{{"cniVersion": "0.4.0", "name": "pods", "plugins": [{{"type": "ptp", "ipMasq": false, "ipam": {{
  "type": "host-local", "dataDir": "{directory}/ipam",
  "ranges": [[{{"subnet": "10.244.0.0/16"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]}}}}]}}
"""
_KUBELET = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{directory}/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /{link}
failCgroupV1: false
failSwapOn: false
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
evictionHard:
  {{memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "0%"}}
imageGCHighThresholdPercent: 100
maxPods: 250
podPidsLimit: 2048
resolvConf: "{directory}/resolv.conf"
registryPullQPS: 0
featureGates: {{KubeletInUserNamespace: true}}
volumePluginDir: {directory}/kubelet/plugins
"""
_ACCESS = """\
apiVersion: v1
kind: Config
clusters:
  - name: tests
    cluster:
      server: "https://{address}:6443"
      certificate-authority: {directory}/certificates/apiserver.crt
users: [{{name: admin, user: {{token: {token}}}}}]
contexts: [{{name: tests, context: {{cluster: tests, user: admin}}}}]
current-context: tests
"""


def binary() -> Path:
    """The program with all servers, which ``build.sh`` has built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "cobbler-parts" / f"kubernetes-{VERSION}" / "cluster"


class KubernetesCluster:
    """A cluster whose files are all in one directory; ``KUBECONFIG`` leads to it.

    Args:
        number: distinguishes it from other clusters of this machine.
    """

    def __init__(self, directory: Path, number: int) -> None:
        self._directory = directory
        self._link = f"cobbler{number % 100000}"
        self._net = f"10.{100 + number % 100}.{number // 100 % 250}"
        self.address = f"{self._net}.1"
        self.configuration = directory / "kubeconfig"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, Sequence[str]] = {}
        self._holder: subprocess.Popen[bytes] | None = None

    def start(self, images: Sequence[str]) -> None:
        """Start all daemons with ``images``, and wait until the node can take a pod."""
        self._write()
        self._make_cgroups()
        self._make_network()
        self._name_commands()
        for daemon in self._commands:
            if daemon == "kube-controller-manager":
                self.until_served()
            if daemon == "kubelet":
                self._import([_PAUSE, *images])
            self.start_again(daemon)
        for _ in range(600):
            if self._is_ready():
                return
            time.sleep(0.1)
        raise AssertionError(self._log("kubelet"))

    def _write(self) -> None:
        texts = {
            "containerd.toml": _CONTAINERD,
            "cni/pods.conflist": _NETWORK,
            "kubelet.yaml": _KUBELET,
            "kubeconfig": _ACCESS,
            "tokens": "{token},admin,admin,system:masters\n",
            "resolv.conf": "nameserver {address}\n",
        }
        for name, text in texts.items():
            path = self._directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                text.format(
                    directory=self._directory,
                    link=self._link,
                    address=self.address,
                    token=_TOKEN,
                    pause=_PAUSE,
                    plugins=_PLUGINS,
                )
            )
        key = self._directory / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        programs = self._directory / "bin"
        programs.mkdir()
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"):
            (programs / name).symlink_to(binary())

    def _make_cgroups(self) -> None:
        """Make the cgroups of its pods: a kubelet ends all pods in its own that it does not know."""
        for cgroup in self._cgroups():
            cgroup.mkdir()
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (cgroup.parent / setting).exists() and not (cgroup / "cgroup.controllers").exists():
                    (cgroup / setting).write_text((cgroup.parent / setting).read_text())

    def _cgroups(self) -> list[Path]:
        top = Path("/sys/fs/cgroup")
        places = (
            [top] if (top / "cgroup.procs").exists() else [path for path in top.iterdir() if path.is_dir()]
        )
        return [path / self._link for path in {path.resolve() for path in places}]

    def _make_network(self) -> None:
        self._holder = subprocess.Popen([*_WITH_US, "unshare", "--net", "--mount", "sleep", "infinity"])
        own, its = (Path(f"/proc/{one}/ns/net") for one in ("self", self._holder.pid))
        while its.readlink() == own.readlink():
            time.sleep(0.01)
        inside = f"{self._link}n"
        ip = ["ip", "link"]
        peer = ["peer", "name", inside, "netns", str(self._holder.pid)]
        self._run(*ip, "add", self._link, "type", "veth", *peer)
        self._run("ip", "address", "add", f"{self._net}.254/24", "dev", self._link)
        self._run(*ip, "set", self._link, "up")
        self._inside(*ip, "set", "lo", "up")
        self._inside("ip", "address", "add", f"{self.address}/24", "dev", inside)
        self._inside(*ip, "set", inside, "up")
        self._inside("ip", "route", "add", "default", "via", f"{self._net}.254")

    def _name_commands(self) -> None:
        here, etcd = self._directory, "http://127.0.0.1:2379"
        access, key = f"--kubeconfig={self.configuration}", here / "accounts.key"
        self._commands = {
            "etcd": (
                *("etcd", f"--data-dir={here}/etcd", "--unsafe-no-fsync"),
                *(f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
            ),
            "kube-apiserver": (
                *(f"{here}/bin/kube-apiserver", f"--etcd-servers={etcd}", f"--bind-address={self.address}"),
                *("--secure-port=6443", f"--cert-dir={here}/certificates", "--authorization-mode=RBAC"),
                *(f"--token-auth-file={here}/tokens", "--disable-admission-plugins=ServiceAccount"),
                "--service-account-issuer=https://kubernetes.default.svc",
                *(f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}"),
                *("--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none"),
                "--kubelet-preferred-address-types=InternalIP",
                "--watch-cache=false",  # otherwise it needs a newer etcd than Debian's
            ),
            "kube-controller-manager": (
                *(f"{here}/bin/kube-controller-manager", access, "--leader-elect=false"),
                *(f"--service-account-private-key-file={key}", "--node-monitor-grace-period=15s"),
            ),
            "kube-scheduler": (f"{here}/bin/kube-scheduler", access, "--leader-elect=false"),
            "containerd": ("containerd", f"--config={here}/containerd.toml"),
            "kubelet": (
                *(f"{here}/bin/kubelet", access, f"--config={here}/kubelet.yaml"),
                f"--root-dir={here}/kubelet",
                *(f"--hostname-override={NODE}", f"--node-ip={self.address}"),
                f"--cert-dir={here}/certificates/kubelet",
            ),
        }

    def start_again(self, daemon: str) -> None:
        """Start one of the daemons."""
        assert self._holder
        inside = [*_WITH_US, "nsenter", f"--target={self._holder.pid}", "--net", "--mount"]
        with (self._directory / f"{daemon}.log").open("ab") as log:
            self._daemons[daemon] = subprocess.Popen(
                [*inside, *self._commands[daemon]], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def kill(self, daemon: str) -> None:
        """Kill it."""
        self._daemons[daemon].kill()
        self._daemons[daemon].wait()

    def until_served(self) -> None:
        """Wait until the API server answers."""
        for _ in range(600):
            with contextlib.suppress(OSError, urllib.error.URLError):
                if self._asked("/readyz") == "ok":
                    return
            time.sleep(0.1)
        raise AssertionError(self._log("kube-apiserver"))

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError, urllib.error.URLError):
            return '"type":"Ready","status":"True"' in self._asked(f"/api/v1/nodes/{NODE}").replace(" ", "")
        return False

    def _asked(self, path: str) -> str:
        request = urllib.request.Request(
            f"https://{self.address}:6443{path}", headers={"Authorization": f"Bearer {_TOKEN}"}
        )
        unchecked = ssl._create_unverified_context()
        try:
            with urllib.request.urlopen(request, timeout=5, context=unchecked) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            error.close()
            raise

    def add(self, image: str) -> None:
        """Give the node an image of podman's."""
        listed = subprocess.run(self._ctr("images", "list", "--quiet"), capture_output=True, text=True)
        if image not in listed.stdout.split():
            self._import([image])

    def pods(self) -> list[str]:
        """The names of all pods that are not about to vanish."""
        listed = json.loads(self._asked("/api/v1/namespaces/default/pods"))["items"]
        told = [one["metadata"] for one in listed]
        return [one["name"] for one in told if "deletionTimestamp" not in one]

    def _import(self, images: Sequence[str]) -> None:
        for _ in range(200):
            if subprocess.run(self._ctr("version"), capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        for image in images:
            archive = self._directory / "image.tar"
            podman("save", "--quiet", "--format=docker-archive", f"--output={archive}", image)
            subprocess.run(self._ctr("images", "import", str(archive)), check=True, capture_output=True)
            archive.unlink()

    def _ctr(self, *words: str) -> list[str]:
        return ["ctr", f"--address={self._directory}/containerd.sock", "--namespace=k8s.io", *words]

    def _inside(self, *words: str) -> None:
        assert self._holder
        self._run("nsenter", f"--target={self._holder.pid}", "--net", *words)

    def _run(self, *words: str) -> None:
        told = subprocess.run(words, capture_output=True)
        assert told.returncode == 0, (words, told.stderr)

    def _log(self, daemon: str) -> str:
        return (self._directory / f"{daemon}.log").read_text("utf-8", "replace")[-8000:]

    def stop(self) -> None:
        """End all daemons and what the node still runs."""
        for daemon in reversed(self._daemons):
            if daemon != "containerd":
                self._daemons[daemon].terminate()
        if "containerd" in self._daemons:
            listed = subprocess.run(self._ctr("tasks", "list", "--quiet"), capture_output=True, text=True)
            for task in listed.stdout.split():
                subprocess.run(self._ctr("tasks", "kill", "--signal=KILL", task), capture_output=True)
            for task in listed.stdout.split():
                subprocess.run(self._ctr("tasks", "delete", "--force", task), capture_output=True)
            self._daemons["containerd"].terminate()
        for process in self._daemons.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        if self._holder:
            self._holder.send_signal(signal.SIGKILL)
            self._holder.wait()
        subprocess.run(["ip", "link", "delete", self._link], capture_output=True)
        for cgroup in self._cgroups():
            for path in (*sorted(cgroup.rglob("*/"), reverse=True), cgroup):
                with contextlib.suppress(OSError):
                    path.rmdir()


def _missing() -> str:
    """Why Kubernetes cannot be started here; empty if it can."""
    if os.geteuid() != 0:
        return "not root"
    if not binary().is_file():
        return f"it is not built: bash tests/support/kubernetes/build.sh {VERSION} {binary().parent}"
    if importlib.util.find_spec("kubernetes") is None:
        return "pip install kubernetes"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing or not _PLUGINS.is_dir():
        return "apt-get install containerd etcd-server containernetworking-plugins"
    return ""


def make_pause(busybox: str) -> None:
    """Make the image that holds the namespaces of a pod, of busybox."""
    command = '["/bin/sh", "-c", "trap exit TERM INT; sleep 2147483647 & wait"]'
    container = podman("create", "--pull=never", busybox, "true")
    try:
        podman("commit", "--quiet", f"--change=ENTRYPOINT {command}", container, _PAUSE)
    finally:
        podman("rm", "--force", container)


@pytest.fixture(scope="session")
def kubernetes(minimal_image: str, python_image: str, busybox_image: str) -> Iterator[KubernetesCluster]:
    """Kubernetes with one node and the images ``minimal_image`` and ``python_image``."""
    if why := _missing():
        if "kubernetes" in os.environ.get("COBBLER_TEST_REQUIRE", "").split(","):
            pytest.fail(f"Kubernetes cannot be started here: {why}")
        pytest.skip(f"Kubernetes cannot be started here: {why}")
    make_pause(busybox_image)
    # Not in memory: overlays lie there.
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as directory:
        cluster = KubernetesCluster(Path(directory), os.getpid())
        try:
            cluster.start([minimal_image, python_image])
            yield cluster
        finally:
            cluster.stop()
            unmount(Path(directory))


def unmount(directory: Path) -> None:
    """Unmount what containerd and the kubelet have left mounted."""
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in reversed(places):
        if place.startswith(str(directory)):
            subprocess.run(["umount", "--lazy", place], env=podman_environment(), capture_output=True)

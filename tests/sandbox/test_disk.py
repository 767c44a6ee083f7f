"""The limit on what a job writes."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox import disk
from pytest_cobbler.sandbox.base import Limits, Mount, Sandbox
from pytest_cobbler.sandbox.disk import DiskWatch, size_of, upper_directories_in
from tests.support.jobs import ended, writable

MEBIBYTE = 1 << 20
FILLS = "head -c 32M /dev/urandom >much; sync much; sleep 60"
ENOUGH = 1 << 60


class TestJobs:
    def test_a_job_that_fills_its_worktree_is_ended(self, contained: Sandbox, workspace: Path) -> None:
        limits = Limits(wall=60, disk=16 * MEBIBYTE)
        completed = ended(
            contained, FILLS, workdir=str(workspace), mounts=(writable(workspace),), limits=limits
        )
        assert completed.cause == "disk"
        assert not completed.ok

    @pytest.mark.parametrize("is_kept", [False, True])
    def test_a_job_that_fills_its_overlay_is_ended(
        self, contained: Sandbox, workspace: Path, is_kept: bool
    ) -> None:
        base, upper, work = (workspace / name for name in ("base", "upper", "work"))
        # The user of the jobs owns them: a rootless podman changes their modes.
        made = ended(
            contained, "mkdir base upper work", workdir=str(workspace), mounts=(writable(workspace),)
        )
        assert made.ok
        overlay = Mount(source=base, target=str(base), mode="overlay")
        if is_kept:
            if os.geteuid() != 0:
                pytest.skip("only root's jobs have such overlays")
            overlay = replace(overlay, upper=upper, work=work)
        limits = Limits(wall=60, disk=16 * MEBIBYTE)
        completed = ended(contained, FILLS, workdir=str(base), mounts=(overlay,), limits=limits)
        assert completed.cause == "disk"
        assert list(base.iterdir()) == []

    def test_many_files_and_deep_directories_count_too(self, contained: Sandbox, workspace: Path) -> None:
        script = """
            mkdir d; cd d; while mkdir d && cd -P d; do
              head -c 65536 /dev/urandom >f || break
            done 2>/dev/null
            sleep 60
        """
        limits = Limits(wall=60, disk=16 * MEBIBYTE)
        completed = ended(
            contained, script, workdir=str(workspace), mounts=(writable(workspace),), limits=limits
        )
        assert completed.cause == "disk"

    @pytest.mark.parametrize("place", ["/tmp", "/var/tmp"])
    def test_directories_in_memory_have_the_limit(self, contained: Sandbox, place: str) -> None:
        limits = Limits(wall=60, disk=4 * MEBIBYTE)
        completed = ended(contained, f"head -c 8M /dev/zero >{place}/much", limits=limits)
        assert "No space left" in completed.stderr
        assert completed.cause == "exited"

    def test_a_job_below_its_limit_is_not_ended(self, contained: Sandbox, workspace: Path) -> None:
        script = "head -c 4M /dev/urandom >some; sync some; sleep 2.5; exit 7"
        limits = Limits(wall=60, disk=16 * MEBIBYTE)
        completed = ended(
            contained, script, workdir=str(workspace), mounts=(writable(workspace),), limits=limits
        )
        assert (completed.cause, completed.status) == ("exited", 7)


class TestWatch:
    def test_the_outer_cancellation_ends_the_job(self) -> None:
        outer = Cancellation()
        with DiskWatch(None, list, outer) as watch:
            outer.cancel()
            assert watch.cancellation.requested
            assert not watch.exceeded

    def test_a_cancellation_before_the_start_counts(self) -> None:
        outer = Cancellation()
        outer.cancel()
        with DiskWatch(None, list, outer) as watch:
            assert watch.cancellation.requested

    def test_directories_that_are_not_known_yet_are_measured_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(disk, "_SHORTEST", 0.0)
        (tmp_path / "file").write_bytes(bytes(100_000))
        calls: list[None] = []

        def directories() -> list[Path]:
            calls.append(None)
            if len(calls) == 1:
                raise FileNotFoundError
            return [tmp_path]

        with DiskWatch(1000, directories, None) as watch:
            watch._thread.join()
        assert watch.exceeded


class TestSize:
    def test_links_are_not_followed_and_count_once(self, tmp_path: Path) -> None:
        tree = tmp_path / "tree"
        tree.mkdir()
        (tmp_path / "outside").write_bytes(os.urandom(MEBIBYTE))
        (tree / "file").write_bytes(os.urandom(MEBIBYTE))
        os.link(tree / "file", tree / "again")
        (tree / "link").symlink_to(tmp_path / "outside")
        (tree / "loop").symlink_to(tree)
        assert MEBIBYTE <= size_of([tree], ENOUGH) < 1.5 * MEBIBYTE

    def test_a_hole_in_a_file_takes_no_room(self, tmp_path: Path) -> None:
        with (tmp_path / "file").open("wb") as file:
            file.truncate(1 << 40)
        assert size_of([tmp_path], ENOUGH) < MEBIBYTE

    def test_a_path_that_is_too_long_for_the_kernel_hides_nothing(self, tmp_path: Path) -> None:
        name = "d" * 200
        script = f"for n in $(seq 60); do mkdir {name}; cd -P {name}; done; head -c 1M /dev/urandom >f"
        subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
        before = len(list(Path("/proc/self/fd").iterdir()))
        assert size_of([tmp_path], ENOUGH) >= MEBIBYTE
        assert size_of([tmp_path], 1) > 1
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_counting_ends_when_enough_is_found_or_the_job_has_ended(self, tmp_path: Path) -> None:
        for number in range(3):
            (tmp_path / str(number)).mkdir()
            (tmp_path / str(number) / "file").write_bytes(os.urandom(65536))
        enough = 32768  # more than the directories themselves take
        assert 65536 <= size_of([tmp_path], enough) < 2 * 65536
        assert size_of([tmp_path], ENOUGH, lambda: True) == 0


class TestUpperDirectories:
    MOUNTS = "\n".join(
        [
            r"1 0 0:50 / / ro - overlay overlay rw,lowerdir=/l,upperdir=/root/diff,workdir=/w",
            r"2 1 0:51 / /work\040tree rw - overlay overlay rw,lowerdir=/x,upperdir=/up\040per,workdir=/y",
            r"3 1 0:52 / /fuse rw shared:1 - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0",
            r"4 1 0:53 / /tmp rw - tmpfs tmpfs rw,size=1k",
            "not a mount",
        ]
    )

    def test_only_overlays_of_the_job_are_found(self) -> None:
        assert upper_directories_in(self.MOUNTS, ["/work tree", "/fuse", "/tmp"]) == [Path("/up per")]

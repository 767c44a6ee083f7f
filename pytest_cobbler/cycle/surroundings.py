"""The repository as prompts show it: documents, files, finished tasks, the base's instructions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_cobbler.cycle.documents import documents
from pytest_cobbler.cycle.framing import DOCUMENT_BUDGET, Document
from pytest_cobbler.cycle.instructions import read_instructions
from pytest_cobbler.cycle.prompts import NeedFacts
from pytest_cobbler.display import shown_path
from pytest_cobbler.globs import matches_glob
from pytest_cobbler.lifecycle.finished import Finished
from pytest_cobbler.repository.attempts import kept_attempts, last_numbers
from pytest_cobbler.repository.changes import read_change
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.agents import Agents
from pytest_cobbler.wiring.project import Project


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The repository as prompts show it; the same for every task of a cycle."""

    documents: tuple[Document, ...] = ()
    files: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()


class RepositoryView:
    """The repository as prompts show it.

    ``current`` are the surroundings of the current cycle; ``instructions`` those of the base for each agent,
    by its name. It does not read the ones in its worktree, because they may be another agent's.

    Args:
        hidden: directories of the project that are not shown.
        agents: the agents of the run.
    """

    def __init__(
        self,
        project: Project,
        finished: Finished,
        hidden: Sequence[str],
        agents: Agents,
    ) -> None:
        self._project = project
        self._finished = finished
        self._hidden = tuple(f"{directory}/" for directory in hidden)
        self.current = Surroundings()
        repository, start = project.repository, project.generation.start
        self.instructions = {one.name: read_instructions(repository, start, one.agent) for one in agents}

    def refresh(self) -> None:
        """Read the surroundings again, for a new cycle."""
        tip = self._project.tip()
        files = [name for name in self._project.repository.files(tip) if not name.startswith(self._hidden)]
        self.current = Surroundings(
            documents=tuple(self._documents(tip, files)),
            files=tuple(shown_path(name.encode("utf-8", "surrogateescape")) for name in files),
            finished=tuple(landed.title for landed in self._finished.all()),
        )

    def _documents(self, tip: str, files: Sequence[str]) -> Iterable[Document]:
        room = DOCUMENT_BUDGET
        listed: set[str] = set()
        configured = self._project.config.spec_globs
        globs = configured or documents([PurePosixPath(name) for name in files])
        for pattern in globs.values():
            for name in self._matching(tip, files, pattern):
                if name in listed:
                    continue
                listed.add(name)
                is_read = room > 0 and bool(configured)  # other documents are only named
                content = self._project.repository.read_file(tip, name) if is_read else None
                text = content.decode("utf-8", "replace") if content is not None else None
                room -= len(text or "")
                yield Document(path=name, text=text)

    def _matching(self, tip: str, files: Sequence[str], pattern: str) -> list[str]:
        """The files that a pattern names; with a slash in front, those outside of the project too."""
        repository = self._project.repository
        if repository.directory.is_outer(pattern):
            found = [name for name in repository.all_blobs(tip) if matches_glob(name, pattern)]
            return [repository.directory.inward(name) for name in found]
        return [name for name in files if matches_glob(name, pattern)]

    def tried(self, tasks: Iterable[Task]) -> dict[str, str]:
        """Task id -> how the last kept attempt at it ended."""
        repository, generation = self._project.repository, self._project.generation.name
        numbers = last_numbers(repository, generation)
        return {
            task.id: f"attempt {last.number} did not land: {last.cause}"
            for task in tasks
            if task.id in numbers
            for last in kept_attempts(repository, generation, task.id)[-1:]
        }

    def needs_of(self, task: Task) -> list[NeedFacts]:
        """The landed changes of the tasks that ``task`` needs."""
        needs = []
        for need in task.needs:
            if landed := self._finished.get(need):
                objects = self._project.repository.objects
                change = read_change(objects, f"{landed.commit}^", landed.commit)
                needs.append(NeedFacts(title=landed.title, files=self.in_project(change.paths)))
        return needs

    def in_project(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Paths of the repository as prompts show them."""
        return tuple(map(self._project.repository.directory.inward, paths))

"""What generations made and what it cost, from the trailers of commits and the records in the tracker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_cobbler.config import Config
from pytest_cobbler.globs import matches_glob
from pytest_cobbler.languages import Go, Language, LineCount, get, language_names
from pytest_cobbler.lifecycle.lines import SourceLines
from pytest_cobbler.lifecycle.records import WrittenRecord, read_records
from pytest_cobbler.lifecycle.unrecorded import unrecorded
from pytest_cobbler.repository.generations import active_generations
from pytest_cobbler.repository.landed import LandedWork, landed_work
from pytest_cobbler.repository.landing import Size
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.tracker.base import Task, Tracker
from pytest_cobbler.usage import NOTHING, Usage


@dataclass(frozen=True, kw_only=True)
class TaskStats:
    """One task in one generation. ``commit`` is empty if it did not land there.

    ``landed`` is the usage of the attempt that landed, ``wasted`` that of all other attempts, in any run.
    """

    id: str
    title: str
    commit: str = ""
    size: Size = field(default_factory=Size)
    landed: Usage = NOTHING
    wasted: Usage = NOTHING


@dataclass(frozen=True, kw_only=True)
class GenerationStats:
    """A generation.

    ``measures`` is the usage of the attempts of measures that proposed tasks, ``failed_measures`` that of
    others. ``agents`` is that of each agent, by its name, as far as records tell.
    """

    name: str
    is_active: bool
    tasks: tuple[TaskStats, ...]
    measures: Usage
    failed_measures: Usage = NOTHING
    agents: Mapping[str, Usage] = field(default_factory=dict)

    @property
    def landed(self) -> tuple[TaskStats, ...]:
        return tuple(task for task in self.tasks if task.commit)

    @property
    def paid(self) -> Usage:
        """The usage of all agents, whatever came of it."""
        return sum((task.landed for task in self.tasks), self.measures) + self.wasted

    @property
    def wasted(self) -> Usage:
        """The usage of attempts that came to nothing."""
        return sum((task.wasted for task in self.tasks), self.failed_measures)

    @property
    def size(self) -> Size:
        """The sum over the tasks that landed."""
        sizes = [task.size for task in self.tasks]
        return Size(
            files=sum(size.files for size in sizes),
            insertions=sum(size.insertions for size in sizes),
            deletions=sum(size.deletions for size in sizes),
        )


@dataclass(frozen=True, kw_only=True)
class RevisionStats:
    """The sources and specifications at a commit: lines by language, words by label of ``spec_globs``."""

    name: str
    commit: str
    lines: Mapping[str, LineCount]
    words: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Stats:
    revisions: tuple[RevisionStats, ...]
    generations: tuple[GenerationStats, ...]


def collect(config: Config, repository: Repository, tracker: Tracker) -> Stats:
    """Collect the statistics. Changes nothing.

    Raises:
        CobblerError: git or the tracker failed.
    """
    active = active_generations(repository, config.gen_prefix)
    return Stats(
        revisions=tuple(_revisions(config, repository, active)),
        generations=collect_generations(config, repository, tracker.tasks(), tracker.comments()),
    )


def collect_generations(
    config: Config,
    repository: Repository,
    tasks: Sequence[Task],
    comments: Mapping[str, Sequence[str]],
) -> tuple[GenerationStats, ...]:
    """The statistics of the generations alone, sorted by name, from the tracker's tasks and our comments.

    Raises:
        CobblerError: git failed.
    """
    active = active_generations(repository, config.gen_prefix)
    work = landed_in(repository, config.gen_prefix)
    records = [record for task_id, texts in comments.items() for record in read_records(task_id, texts)]
    for journal in sorted(config.cobbler_dir.glob("*/journal.jsonl")):
        records += (one for one in unrecorded(journal, journal.parent.name) if one.usage.attempts)
    return tuple(_generations(work, records, {task.id: task for task in tasks}, active))


# -- code and specifications


def _revisions(config: Config, repository: Repository, active: Mapping[str, str]) -> Iterator[RevisionStats]:
    branch = config.base_branch or repository.head_branch()
    base = repository.read_ref(f"refs/heads/{branch}") if branch else repository.head_commit()
    languages: list[Language] = [Go(kept=config.magefiles_dir)]
    languages += [get(name) for name in language_names() if name not in ("go", "none")]
    counters = {language.name: SourceLines(repository, language) for language in languages}
    words = _Words(repository, config.spec_globs)
    commits = {branch or "HEAD": base} if base else {}
    for name, commit in (commits | dict(active)).items():
        counts = {language: counter.at(commit) for language, counter in counters.items()}
        yield RevisionStats(
            name=name,
            commit=commit,
            lines={language: count for language, count in counts.items() if count != LineCount()},
            words=words.at(commit),
        )


class _Words:
    """Counts the words of documents. Reads each blob once."""

    def __init__(self, repository: Repository, globs: Mapping[str, str]) -> None:
        self._repository = repository
        self._globs = globs
        self._words: dict[str, int] = {}

    def at(self, commit: str) -> dict[str, int]:
        """Label -> words."""
        repository, is_outer = self._repository, self._repository.directory.is_outer
        own = repository.blobs(commit) if self._globs else {}
        all_blobs = repository.all_blobs(commit) if any(map(is_outer, self._globs.values())) else {}
        chosen = {
            label: [
                blob
                for path, blob in (all_blobs if is_outer(pattern) else own).items()
                if matches_glob(path, pattern)
            ]
            for label, pattern in self._globs.items()
        }
        unread = {blob for some in chosen.values() for blob in some} - self._words.keys()
        for blob, content in self._repository.read_blobs(sorted(unread)):
            self._words[blob] = len(content.decode("utf-8", "replace").split())
        return {label: sum(self._words[blob] for blob in some) for label, some in chosen.items()}


# -- generations


def landed_in(repository: Repository, prefix: str) -> list[LandedWork]:
    """Every landing of the repository's generations, oldest first."""
    return landed_work(repository, _tips(repository, prefix))


def _tips(repository: Repository, prefix: str) -> list[str]:
    """The commits that may reach a landing: branches, except those of single tasks, and generations' tags."""
    refs = repository.list_refs("refs/heads", f"refs/tags/{prefix}*")
    head = repository.head_commit()
    commits = [commit for ref, commit in refs.items() if not ref.startswith("refs/heads/task/")]
    return [*commits, *([head] if head else [])]


def _generations(
    work: Sequence[LandedWork],
    records: Sequence[WrittenRecord],
    tasks: Mapping[str, Task],
    active: Mapping[str, str],
) -> Iterator[GenerationStats]:
    names = {*active, *(one.generation for one in work), *(record.generation for record in records)}
    for name in sorted(names):
        its_records = [record for record in records if record.generation == name]
        measures = [record for record in its_records if record.caller == "measure"]
        yield GenerationStats(
            name=name,
            is_active=name in active,
            tasks=tuple(_tasks([one for one in work if one.generation == name], its_records, tasks)),
            measures=sum((_rest(record.usage, record.earlier) for record in measures), NOTHING),
            failed_measures=sum((record.earlier for record in measures), NOTHING),
            agents=_by_agent(its_records),
        )


def _by_agent(records: Sequence[WrittenRecord]) -> dict[str, Usage]:
    sums: dict[str, Usage] = {}
    for record in records:
        for name, usage in record.agents.items():
            sums[name] = sums.get(name, NOTHING) + usage
    return dict(sorted(sums.items()))


def _tasks(
    work: Sequence[LandedWork], records: Sequence[WrittenRecord], tasks: Mapping[str, Task]
) -> Iterator[TaskStats]:
    """The tasks that landed, in order, then the others."""
    stitches = [record for record in records if record.caller != "measure"]
    failed: dict[str, list[WrittenRecord]] = {}
    for record in stitches:
        if not record.commit and record.usage.attempts:
            failed.setdefault(record.task, []).append(record)
    for one in work:
        its_landings = [record for record in stitches if record.task == one.task and record.commit]
        earlier = sum((record.usage for record in failed.pop(one.task, ())), NOTHING)
        yield _landed(one, its_landings, earlier)
    for task, left in failed.items():
        title = tasks[task].title if task in tasks else ""
        yield TaskStats(id=task, title=title, wasted=sum((record.usage for record in left), NOTHING))


def _landed(work: LandedWork, records: Sequence[WrittenRecord], earlier: Usage) -> TaskStats:
    """A landing by its record in the tracker; if that is missing, by its commit.

    ``earlier`` is the usage in records of runs in which the task did not land. If the work of one of them
    landed, its attempt is not wasted.
    """
    # The id differs if a forge has copied the commit, so any record of a landing may be the one.
    candidates = [record for record in records if record.commit == work.commit] or records
    # A record that a recovery wrote has no more information than the commit.
    record = next((record for record in candidates if record.caller == "stitch"), None)
    task = TaskStats(id=work.task, title=work.title, commit=work.commit, size=work.size)
    if record is None or (len(candidates) > 1 and record.commit != work.commit):
        return replace(task, landed=NOTHING + work.usage, wasted=earlier)
    return replace(
        task,
        landed=record.usage - record.earlier + record.kept,
        wasted=record.earlier + _rest(earlier, record.kept),
    )


def _rest(usage: Usage, part: Usage) -> Usage:
    """``usage`` without ``part``; nothing at all if no attempt is left."""
    rest = usage - part
    return rest if rest.attempts else NOTHING

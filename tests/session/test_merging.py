"""Changes of parallel tasks are merged as the project's attributes say, in landings and in the stop."""

from __future__ import annotations

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, seed, task


def test_parallel_tasks_share_a_changelog_with_union_and_do_not_mix_a_lock_file(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    lock = "".join(f"{number}\n" for number in range(9))
    cobbler_project.write(
        {".gitattributes": "NEWS merge=union\n*.lock -merge\n", "NEWS": "# News\n", "deps.lock": lock}
    )
    cobbler_project.commit("A changelog and a lock file")
    cobbler_project.configure(jobs=2, max_attempts=2)
    seed(cobbler_project, task("p-a"), task("p-b"))
    cobbler_agent.task("p-a").runs("echo a >>NEWS; sed -i s/0/first/ deps.lock")
    cobbler_agent.task("p-b").runs(
        f"cd {cobbler_project.path}; until grep -qs '\"land\"' .cobbler/*/journal.jsonl; do sleep 0.1; done\n"
        'cd "$OLDPWD"; [ "$COBBLER_ATTEMPT" = 2 ] || echo b >>NEWS; sed -i s/8/last/ deps.lock'
    )
    result = cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-a": "landed", "stitch::p-b": "landed"}
    (prompt,) = cobbler_project.path.glob(".cobbler/*/attempts/p-b/2/prompt.md")
    assert "<unmarked-conflicts>\ndeps.lock\n</unmarked-conflicts>" in prompt.read_text()
    files = cobbler_project.files()
    assert files["NEWS"] == "# News\na\nb\n"
    assert files["deps.lock"] == lock.replace("0", "first").replace("8", "last")

    cobbler_project.write({"NEWS": "# News\nmain\n", "deps.lock": lock.replace("4", "middle")})
    cobbler_project.commit("Meanwhile")
    stopped = cobbler_project.run("--cobbler-stop")
    assert stopped.ret == 1
    stopped.stdout.fnmatch_lines(["*conflict in 1 file;*", "  deps.lock"])

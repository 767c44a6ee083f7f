"""The work of the agents of this project, and a new run of its agent."""


def test_the_configuration_has_a_gate(cobbler_config):
    assert cobbler_config.test_command


def test_every_task_has_a_description(cobbler_tracker):
    assert [task.title for task in cobbler_tracker if not task.description] == []


def test_every_proposed_task_landed(cobbler_generation):
    assert cobbler_generation.base == "main"
    assert {one.title for one in cobbler_generation.landed} == {"Write the greeting"}
    assert {task.status for task in cobbler_generation.tasks} == {"closed"}


def test_the_generation_says_hello(cobbler_worktree):
    assert (cobbler_worktree("generation").path / "greeting.txt").read_text() == "hello\n"
    assert not (cobbler_worktree("main").path / "greeting.txt").exists()


def test_the_generation_passes_the_gate(cobbler_runner, cobbler_worktree):
    assert cobbler_runner.gate(cobbler_worktree("generation")).passed


def test_the_gate_notices_another_greeting(cobbler_runner, cobbler_worktree):
    checkout = cobbler_worktree("main")
    (checkout.path / "greeting.txt").write_text("goodbye\n")
    assert cobbler_runner.gate(checkout).summary == "test failed (exit 1)"


def test_the_agent_can_write_a_greeting(cobbler_runner, cobbler_worktree):
    checkout = cobbler_worktree("main")
    run = cobbler_runner.agent(checkout, "Write a greeting to greeting.txt.", title="Write the greeting")
    assert run.ok, run.error
    assert run.files == {"greeting.txt": "hello\n"}
    assert (run.refusals, run.usage.cost_usd) == ((), None)
    assert cobbler_runner.gate(checkout).passed


def test_a_greeting_that_fails_the_gate_is_tried_again(cobbler_config, cobbler_agent, cobbler_project):
    cobbler_agent.measure().writes_tasks([{"title": "Write the greeting"}])
    cobbler_agent.task("Write the greeting").writes("greeting.txt", "goodbye\n")
    cobbler_agent.task("Write the greeting", attempt=2).writes("greeting.txt", "hello\n")
    cobbler_project.configure(test_command=list(cobbler_config.test_command))
    cobbler_project.run("--cobbler-generate").assert_outcomes(passed=2)
    assert cobbler_project.files()["greeting.txt"] == "hello\n"

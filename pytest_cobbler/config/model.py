"""``Config``: every key, with its default, its meaning and its accepted values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from pytest_cobbler.config.agents import AgentNames, ModelNames, names_of
from pytest_cobbler.config.go import main_directory
from pytest_cobbler.config.kubernetes import PodField
from pytest_cobbler.config.podman import PodmanArguments, PodmanArgumentsField
from pytest_cobbler.config.values import (
    Arguments,
    Branch,
    BranchPrefix,
    Directories,
    Duration,
    FileName,
    Globs,
    Image,
    JobDirectories,
    Label,
    MeasurePrompt,
    Money,
    Names,
    Nodes,
    OptionalDirectory,
    OptionalFile,
    OptionalRepositoryPath,
    OptionalText,
    OwnDirectory,
    Patterns,
    Program,
    ProgramName,
    RepositoryPath,
    RepositoryPaths,
    Seeds,
    Size,
    StepCommand,
    StitchPrompt,
    Switch,
    Text,
    WorkDirectory,
    one_of,
    whole_number,
)

CODEX_ARGUMENTS = ("--dangerously-bypass-approvals-and-sandbox",)
OPENCODE_ARGUMENTS = ("--auto",)
GEMINI_ARGUMENTS = ("--approval-mode", "yolo")
CLAUDE_ARGUMENTS = ("--dangerously-skip-permissions", "-p", "--verbose", "--output-format", "stream-json")

MOST_TASKS = 10_000
"""Tasks of one measure, and of one cycle."""

_BY_PLACE: Any = None
"""A default that the validator replaces, as it depends on the directory of the file."""


class Config(BaseModel):
    """The validated ``configuration.yaml``; made by ``load_config``.

    Paths are absolute and times are seconds (``None``: no limit). Optional keys that were not written are
    ``None``, empty, or their default. The description of a key is used wherever keys are listed. It ends in
    ``; default: ...`` if the default cannot be written as a value. The order is that of ``SECTIONS``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )

    podman_image: Image = Field(
        None,
        description="Image in which agents and the gate run; default: none, required unless sandbox is none.",
    )
    podman_args: PodmanArgumentsField = Field(
        PodmanArguments(), repr=False, description="Additional arguments of podman run, from an allow-list."
    )
    unsafe_podman_args: Switch = Field(
        False,
        description="Accept podman_args outside the allow-list; the header lists the protection they remove.",
    )
    sandbox: Annotated[
        Literal["podman", "slurm", "kubernetes", "none"], one_of("podman", "slurm", "kubernetes", "none")
    ] = Field(
        "podman",
        description="Where agents run: podman, podman on nodes of Slurm, or pods; none: without protection.",
    )
    slurm_args: Arguments = Field((), description="With sandbox: slurm: arguments of srun that are allowed.")
    gate_site: Nodes = Field((), description="With sandbox: slurm: nodes on which gates run, and no agent.")
    kubernetes_pod: PodField = Field(
        {}, description="With sandbox: kubernetes: fields of the pods of agents, from an allow-list."
    )
    kubernetes_carrier: Image = Field(
        None,
        description="With sandbox: kubernetes: image with Python and git; default: that of podman_image.",
    )
    job_disk: Size = Field(
        20 << 30, description="Bytes that an agent or the gate may write, to disk and to /tmp in memory."
    )
    job_userns: Switch = Field(
        False, description="true: agents and the gate may make user namespaces, as browsers' sandboxes do."
    )

    language: Annotated[Literal["go", "python", "none"] | None, one_of("go", "python", "none")] = Field(
        None,
        description="Determines source files, test files and the default gate; default: detected.",
    )
    module_path: OptionalText = Field(
        None,
        description="Path of the Go module, required for Go; otherwise the import or distribution name.",
    )
    source_dirs: Directories = Field(
        (), description="Source directories; reset_sources is limited to them; required for Go."
    )
    go_source_dirs: Directories = Field((), description="Older name of source_dirs, for Go projects.")
    reset_sources: Annotated[Switch | None, one_of("true", "false")] = Field(
        None,
        description="Whether a generation starts without its source files; default: yes for Go, else no.",
    )
    seed_files: Seeds = Field(
        {}, description="Files written at start: destination to template ({{.Version}}, {{.ModulePath}})."
    )
    version_file: OptionalRepositoryPath = Field(
        None,
        description="File with the version, which stop uses as a tag; never reset, and protected.",
    )
    magefiles_dir: RepositoryPath = Field(
        PurePosixPath("magefiles"), description="Go: a directory that is neither reset nor built."
    )
    main_package: OptionalText = Field(
        None,
        description="Go: the program that the gate builds: its directory, its main.go or its import path.",
    )
    binary_name: ProgramName = Field(
        None, description="Go: name of the program; default: the name of its directory."
    )
    binary_dir: RepositoryPath = Field(
        PurePosixPath("bin"), description="Go: directory for built programs; never committed."
    )
    base_branch: Branch = Field(
        None,
        description="Branch to start from and to merge into; default: the branch checked out at the start.",
    )
    gen_prefix: BranchPrefix = Field(
        _BY_PLACE,
        description="Prefix of generation branches; default: generation-, in a subdirectory after its path.",
    )
    generation_branch: Branch = Field(None, description="Generation to work on if several are active.")

    spec_globs: Globs = Field(
        {}, description="Documents that agents read: label to glob (with **); statistics count them by label."
    )
    user_prompt: Text = Field("", description="Additional instructions for measures.")
    cycles: Annotated[int, *whole_number(0, 1000)] = Field(
        1, description="Number of measure and stitch cycles per run; 0: only finish open tasks."
    )
    max_issues: Annotated[int, *whole_number(0, MOST_TASKS)] = Field(
        10, description="Maximum number of tasks per measure, and of tasks stitched per cycle."
    )
    estimated_lines_min: Annotated[int, *whole_number(1, 100_000)] = Field(
        250, description="Minimum size of a task, in lines, that a measure is asked for."
    )
    estimated_lines_max: Annotated[int, *whole_number(1, 100_000)] = Field(
        350, description="Maximum size of a task, in lines, that a measure is asked for."
    )
    jobs: Annotated[int, *whole_number(1, 256)] = Field(
        2, description="Number of agents that work in parallel."
    )
    max_attempts: Annotated[int, *whole_number(1, 10)] = Field(
        2, description="Maximum number of attempts per task and run."
    )
    max_failures: Annotated[int, *whole_number(1, 100)] = Field(
        3, description="Number of failed runs after which a task is set aside, until its label is removed."
    )
    measure_prompt: MeasurePrompt = Field(
        None,
        description="Template of a measure; must contain {{.OutputPath}}; default: built in.",
    )
    stitch_prompt: StitchPrompt = Field(
        None,
        description="Template of a stitch; must contain {{.Title}} or {{.Description}}; default: built in.",
    )
    tracker: Annotated[Literal["auto", "bd", "embedded"], one_of("auto", "bd", "embedded")] = Field(
        "auto",
        description="Where tasks are kept; auto: the store that the repository already has, else embedded.",
    )
    task_label: Label = Field("", description="Only do tasks with this label; empty: every open task.")

    agent: AgentNames = Field(
        "claude",
        description="The agent: claude, codex, opencode, gemini, agent_command as it is (command) or by the "
        "Agent Client Protocol (acp), or a replay of recording; "
        "a list: the next one works while those before it are limited.",
    )
    model: ModelNames = Field(
        None,
        description="Model, passed to the agent's program; by agent, if there are several; "
        "default: the program's.",
    )
    escalate: ModelNames = Field(
        None,
        description="Model after an attempt that failed, for the next ones of the same task and run; "
        "by agent, if there are several; default: the same model.",
    )
    claude_args: Arguments = Field(
        CLAUDE_ARGUMENTS, description="Arguments of claude: a list, or one string."
    )
    codex_args: Arguments = Field(
        CODEX_ARGUMENTS, description="Arguments of codex exec: a list, or one string."
    )
    opencode_args: Arguments = Field(
        OPENCODE_ARGUMENTS, description="Arguments of opencode run: a list, or one string."
    )
    gemini_args: Arguments = Field(
        GEMINI_ARGUMENTS, description="Arguments of gemini: a list, or one string."
    )
    agent_command: Program = Field(
        None,
        description="With agent: command or acp: runs in the worktree; with command, the prompt is on stdin, "
        "and exit status 0 means done.",
    )
    agent_api: Annotated[
        Literal["messages", "responses", "chat", "gemini"], one_of("messages", "responses", "chat", "gemini")
    ] = Field(
        "messages",
        description="With agent: command, acp and opencode: the API that it speaks: "
        "of Anthropic (messages), OpenAI (responses, chat) or Google (gemini).",
    )
    recording: OptionalDirectory = Field(
        None, description="With agent: replay: the directory to replay, written by --cobbler-record."
    )
    recording_prompts: Annotated[Literal["check", "ignore"], one_of("check", "ignore")] = Field(
        "check",
        description="With agent: replay: whether a prompt that differs from the recorded one is an error.",
    )
    agent_history: Annotated[Literal["full", "tip"], one_of("full", "tip")] = Field(
        "full",
        description="Git objects that agents can read; full: all of the repository; tip: the files only.",
    )
    agent_network: Annotated[Literal["proxy", "open", "none"], one_of("proxy", "open", "none")] = Field(
        "proxy",
        description="Network; proxy: the model's API only, without the key; open: all, and the key.",
    )
    allow_address: Switch = Field(
        False,
        description="Accept an API address that this file sets and that is not Anthropic's.",
    )
    streams_per_agent: Annotated[int, *whole_number(1, 64)] = Field(
        8, description="Number of answers of the API that one agent gets concurrently; others wait."
    )
    models: Names = Field((), description="Models that agents may ask through the proxy; empty: any.")
    hosted_tools: Names = Field(
        (), description="Tools and fields of requests that act at the API, and that the proxy lets pass."
    )
    silence_agent: Switch = Field(True, description="false: print the agent's steps as they happen.")
    task_timeout: Duration = Field(1800.0, description="Time limit of one agent run.")
    idle_timeout: Duration = Field(600.0, description="Time limit of an agent without any output.")
    limit_wait: Duration = Field(
        1200.0, description="Longest wait for a rate limit or a fault of the API; a longer one ends the run."
    )
    secrets_dir: OwnDirectory = Field(Path(".secrets"), description="Directory of the agent's credential.")
    default_token_file: Text = Field("claude.json", description="File of the credential in secrets_dir.")
    token_file: FileName = Field(None, description="Other file of the credential in secrets_dir.")

    budget_usd: Money = Field(None, description="What all agents of one run may spend; default: no limit.")
    generation_budget_usd: Money = Field(
        None, description="What all runs of a generation may spend; default: no limit."
    )
    task_budget_usd: Money = Field(
        None, description="What one task may spend in all runs of a generation; default: no limit."
    )
    budget_tokens: Annotated[int | None, *whole_number(1, 10**12)] = Field(
        None,
        description="Tokens that one run may use of models without a price; default: no limit, "
        "or none if another budget is set.",
    )
    prices: OptionalFile = Field(
        None, description="File with prices of models, which replace built-in ones or add to them."
    )

    build_command: StepCommand = Field(
        None,
        description="First command of the gate: a string for sh -c, a list, or false; default: by language.",
    )
    test_command: StepCommand = Field(
        None,
        description="Second command of the gate: a string for sh -c, a list, or false; default: by language.",
    )
    build_services: Switch = Field(
        False, description="true: processes that build_command leaves running stay for test_command."
    )
    gate_report: OptionalRepositoryPath = Field(
        None,
        description="JUnit XML file that the gate's commands write; default: the report of the default gate.",
    )
    gate_image: Image = Field(None, description="Image of the gate; default: the image of agents.")
    gate_network: Annotated[Literal["open", "none"], one_of("open", "none")] = Field(
        "none", description="Network of the gate."
    )
    gate_copies: Annotated[Literal["refuse", "allow"], one_of("refuse", "allow")] = Field(
        "refuse",
        description="Whether the default gate may test a copy of the project that is not in the tree.",
    )
    gate_timeout: Duration = Field(900.0, description="Time limit of the gate.")
    gate_jobs: Annotated[int, *whole_number(1, 64)] = Field(
        1, description="Number of gates that run in parallel, each on another prefix of what waits to land."
    )
    landing: Annotated[Literal["each", "train"], one_of("each", "train")] = Field(
        "each",
        description="Whether the gate passes on each landed commit, or once on all changes that wait.",
    )
    cache_dirs: JobDirectories = Field(
        (), description="Directories of jobs that cache_command fills, such as Go's or pip's caches."
    )
    cache_command: StepCommand = Field(
        None,
        description="Fills cache_dirs, on the base's files, before the first agent: a string for sh -c, "
        "or a list.",
    )
    cache_network: Annotated[Literal["open", "none"], one_of("open", "none")] = Field(
        "none", description="Network of cache_command."
    )
    weakened_tests: Annotated[Literal["note", "refuse"], one_of("note", "refuse")] = Field(
        "note", description="Whether a change that removes or weakens tests is noted or refused."
    )
    red_base: Annotated[Literal["refuse", "allow"], one_of("refuse", "allow")] = Field(
        "refuse",
        description="Whether a run begins if the gate already fails; allow: tasks may leave its failures.",
    )
    merge_driver: Program = Field(
        None,
        description="Merges files that git cannot: a command of gitattributes with %O, %A, %B, %P and %L.",
    )
    sign_command: Program = Field(
        None,
        description="Signs the statement of each landing; runs on this machine, prints a signature of stdin.",
    )
    protected_paths: Patterns = Field(
        (), description="Paths that no task may change, in addition to the built-in ones."
    )
    allow_paths: Patterns = Field((), description="Protected paths that tasks may change.")

    junit_name: Annotated[Literal["title", "id"], one_of("title", "id")] = Field(
        "title",
        description="Name of a case in the JUnit report; title: the title and, in parentheses, the id.",
    )

    beads_dir: OwnDirectory = Field(Path(".beads"), description="Directory of the tracker.")
    cobbler_dir: OwnDirectory = Field(
        Path(".cobbler"), description="Directory of transcripts, journal and logs."
    )
    cleanup_dirs: RepositoryPaths = Field(
        (), description="Directories from which stop and reset remove all untracked files."
    )
    work_dir: WorkDirectory = Field(
        None,
        description="Directory of worktrees, outside the repository; default: the user's state directory.",
    )

    _path: Path = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        self._path = context if isinstance(context, Path) else Path.cwd() / "configuration.yaml"

    @property
    def is_contained(self) -> bool:
        """Whether agents and the gate run in containers."""
        return self.sandbox != "none"

    @property
    def path(self) -> Path:
        """The configuration file, absolute."""
        return self._path

    @property
    def root(self) -> Path:
        """The directory of the configuration file; paths are relative to it."""
        return self._path.parent

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of the agents, in the order in which they are asked."""
        return names_of(self.agent)

    @property
    def each_agent(self) -> tuple[Config, ...]:
        """The configuration for each agent, as if it were the only one."""
        return tuple(
            self.model_copy(update={"agent": name, "model": self.model_of(name)}) for name in self.agents
        )

    def model_of(self, name: str) -> str | None:
        """The model that an agent is started with; ``None``: its program's own."""
        return self.model.get(name) if isinstance(self.model, Mapping) else self.model

    def escalation_of(self, name: str) -> str | None:
        """The model of an agent after an attempt that failed; ``None``: the same as before."""
        return self.escalate.get(name) if isinstance(self.escalate, Mapping) else self.escalate

    @property
    def sources(self) -> tuple[Path, ...]:
        """The source directories, written as ``source_dirs`` or ``go_source_dirs``."""
        return self.source_dirs or self.go_source_dirs

    @property
    def main_directory(self) -> PurePosixPath | None:
        """The directory of ``main_package`` in the repository."""
        return main_directory(self.main_package, self.module_path)

    @property
    def binary(self) -> PurePosixPath | None:
        """The path of the built ``main_package`` in the repository."""
        if self.main_directory is None:
            return None
        name = self.binary_name or self.main_directory.name or PurePosixPath(self.module_path or "main").name
        return self.binary_dir / name

    @property
    def token_path(self) -> Path:
        """The file of the agent's credential; it may not exist."""
        return self.secrets_dir / (self.token_file or self.default_token_file)

    @property
    def podman_arguments(self) -> tuple[str, ...]:
        """The part of ``podman_args`` for podman's command line; it has no variables."""
        return self.podman_args.arguments

    @property
    def container_environment(self) -> Mapping[str, str]:
        """Variables from ``podman_args`` (``-e``); may be secret: never log them."""
        return self.podman_args.environment

    @property
    def lifted_credentials(self) -> Mapping[str, str]:
        """The agent's credentials from ``podman_args`` (``-e ANTHROPIC_API_KEY=...``), by variable."""
        return self.podman_args.credentials

    @property
    def given_away(self) -> tuple[str, ...]:
        """The protections that ``unsafe_podman_args`` removes, one line for each argument."""
        return tuple(f"{unsafe.flag}: {unsafe.reason}" for unsafe in self.podman_args.unsafe)

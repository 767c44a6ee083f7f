"""``Config``: every key that works, with its default, its meaning and what it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from pytest_cobbler.config.go import main_directory
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
    Label,
    MeasurePrompt,
    ModelName,
    OptionalDirectory,
    OptionalRepositoryPath,
    OptionalText,
    OwnDirectory,
    Patterns,
    Program,
    ProgramName,
    RepositoryPath,
    RepositoryPaths,
    Seeds,
    StepCommand,
    StitchPrompt,
    Switch,
    Text,
    WorkDirectory,
    one_of,
    whole_number,
)

CLAUDE_ARGUMENTS = ("--dangerously-skip-permissions", "-p", "--verbose", "--output-format", "stream-json")


class Config(BaseModel):
    """The validated ``configuration.yaml``; made by ``load``.

    Paths are absolute, times are seconds (``None``: no limit), optional keys that were not written are
    ``None``, empty, or their default. A description is all that is said of a key wherever keys are listed; it
    ends in ``; default: ...`` where the default is no value that could be written. The order is that of
    ``SECTIONS``.
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
        PodmanArguments(), repr=False, description="More arguments of podman run, from an allow-list."
    )
    unsafe_podman_args: Switch = Field(
        False,
        description="Accept podman_args outside the allow-list; the run's header says what they give away.",
    )
    sandbox: Annotated[Literal["podman", "none"], one_of("podman", "none")] = Field(
        "podman", description="Where agents and the gate run; none: on this machine, without protection."
    )

    language: Annotated[Literal["go", "python", "none"] | None, one_of("go", "python", "none")] = Field(
        None,
        description="What sources and tests are, the gate, Go's module file; default: found out.",
    )
    module_path: OptionalText = Field(
        None,
        description="Path of the Go module, required for Go; else the import or distribution name.",
    )
    source_dirs: Directories = Field(
        (), description="Source directories, which reset_sources is confined to; required for Go."
    )
    go_source_dirs: Directories = Field((), description="source_dirs of a Go project, by its older name.")
    reset_sources: Annotated[Switch | None, one_of("true", "false")] = Field(
        None, description="Whether start removes the language's sources; default: yes for Go, else no."
    )
    seed_files: Seeds = Field(
        {}, description="Files written at start: destination to template ({{.Version}}, {{.ModulePath}})."
    )
    version_file: OptionalRepositoryPath = Field(
        None,
        description="File with the version, which stop tags: kept when sources are reset, and protected.",
    )
    magefiles_dir: RepositoryPath = Field(
        PurePosixPath("magefiles"), description="Go: never touched when sources are reset, nor built."
    )
    main_package: OptionalText = Field(
        None,
        description="Go: the program that the gate builds: its directory, its main.go or its import path.",
    )
    binary_name: ProgramName = Field(
        None, description="Go: what the program is called; default: the name of its directory."
    )
    binary_dir: RepositoryPath = Field(
        PurePosixPath("bin"), description="Go: where programs are built; never committed."
    )
    base_branch: Branch = Field(
        None,
        description="What a generation starts from and is merged into; default: the branch checked out then.",
    )
    gen_prefix: BranchPrefix = Field("generation-", description="Prefix of generation branches.")
    generation_branch: Branch = Field(None, description="Which generation, if several are active.")

    spec_globs: Globs = Field(
        {}, description="Documents that agents are shown, counted by label: label to glob (with **)."
    )
    user_prompt: Text = Field("", description="What else a measure is told.")
    cycles: Annotated[int, *whole_number(0, 1000)] = Field(
        1, description="Cycles of measure and stitch per run; 0: only finish open tasks."
    )
    max_issues: Annotated[int, *whole_number(0, 1000)] = Field(
        10, description="Most tasks per measure, and most tasks stitched per cycle."
    )
    estimated_lines_min: Annotated[int, *whole_number(1, 100_000)] = Field(
        250, description="Fewest lines of a task asked for."
    )
    estimated_lines_max: Annotated[int, *whole_number(1, 100_000)] = Field(
        350, description="Most lines of a task asked for."
    )
    jobs: Annotated[int, *whole_number(1, 64)] = Field(2, description="Agents at once.")
    max_attempts: Annotated[int, *whole_number(1, 10)] = Field(2, description="Attempts per task and run.")
    measure_prompt: MeasurePrompt = Field(
        None,
        description="Template of a measure; must hold {{.OutputPath}}; default: built in.",
    )
    stitch_prompt: StitchPrompt = Field(
        None,
        description="Template of a stitch; must hold {{.Title}} or {{.Description}}; default: built in.",
    )
    tracker: Annotated[Literal["auto", "bd", "embedded"], one_of("auto", "bd", "embedded")] = Field(
        "auto", description="Where tasks live; auto: what the repository already has, else embedded."
    )
    task_label: Label = Field("", description="Only tasks with this label are done; empty: every open task.")

    agent: Annotated[Literal["claude", "command", "replay"], one_of("claude", "command", "replay")] = Field(
        "claude",
        description="Who does the work: claude, the command in agent_command, or a replay of recording.",
    )
    model: ModelName = Field(None, description="Model, passed to claude; default: claude's own.")
    claude_args: Arguments = Field(CLAUDE_ARGUMENTS, description="Arguments of claude: a list, or one text.")
    agent_command: Program = Field(
        None,
        description="With agent: command: run in the worktree, prompt on stdin; exit status 0: it is done.",
    )
    recording: OptionalDirectory = Field(
        None, description="With agent: replay: what it plays, a directory made by --cobbler-record."
    )
    recording_prompts: Annotated[Literal["check", "ignore"], one_of("check", "ignore")] = Field(
        "check",
        description="With agent: replay: whether a prompt that differs from the recorded one is an error.",
    )
    agent_network: Annotated[Literal["proxy", "open", "none"], one_of("proxy", "open", "none")] = Field(
        "proxy",
        description="What agents reach; proxy: the model's API alone, without the key; open: all, with it.",
    )
    silence_agent: Switch = Field(True, description="false: show the agent's steps as they happen.")
    task_timeout: Duration = Field(1800.0, description="Longest time of one agent run.")
    idle_timeout: Duration = Field(600.0, description="Longest time of an agent without any output.")
    secrets_dir: OwnDirectory = Field(Path(".secrets"), description="Directory of the agent's credential.")
    default_token_file: Text = Field("claude.json", description="File of the credential in secrets_dir.")
    token_file: FileName = Field(None, description="Another file of the credential in secrets_dir.")

    build_command: StepCommand = Field(
        None,
        description="First command of the gate: a text for sh -c, a list, or false; default: by language.",
    )
    test_command: StepCommand = Field(
        None,
        description="Second command of the gate: a text for sh -c, a list, or false; default: by language.",
    )
    gate_image: Image = Field(None, description="Image of the gate; default: that of agents.")
    gate_network: Annotated[Literal["open", "none"], one_of("open", "none")] = Field(
        "none", description="What the gate can reach."
    )
    gate_timeout: Duration = Field(900.0, description="Longest time of the gate.")
    protected_paths: Patterns = Field(
        (), description="Paths that no task may change, besides the built-in ones."
    )
    allow_paths: Patterns = Field((), description="Paths taken out of the protected ones, by name.")

    beads_dir: OwnDirectory = Field(Path(".beads"), description="Directory of the tracker.")
    cobbler_dir: OwnDirectory = Field(Path(".cobbler"), description="Transcripts, journal and reports.")
    cleanup_dirs: RepositoryPaths = Field(
        (), description="Directories from which stop and reset remove all files that git does not track."
    )
    work_dir: WorkDirectory = Field(
        None, description="Where worktrees lie, outside the repository; default: the user's state directory."
    )

    _path: Path = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        self._path = context if isinstance(context, Path) else Path.cwd() / "configuration.yaml"

    @property
    def path(self) -> Path:
        """The configuration file, absolute."""
        return self._path

    @property
    def root(self) -> Path:
        """The directory of the configuration file, which paths are relative to."""
        return self._path.parent

    @property
    def sources(self) -> tuple[Path, ...]:
        """The source directories, under whichever name they were written."""
        return self.source_dirs or self.go_source_dirs

    @property
    def main_directory(self) -> PurePosixPath | None:
        """The directory of ``main_package`` in the repository."""
        return main_directory(self.main_package, self.module_path)

    @property
    def binary(self) -> PurePosixPath | None:
        """Where in the repository ``main_package`` is built to."""
        if self.main_directory is None:
            return None
        name = self.binary_name or self.main_directory.name or PurePosixPath(self.module_path or "main").name
        return self.binary_dir / name

    @property
    def token_path(self) -> Path:
        """The file of the agent's credential; it need not exist."""
        return self.secrets_dir / (self.token_file or self.default_token_file)

    @property
    def podman_arguments(self) -> tuple[str, ...]:
        """What of ``podman_args`` goes on podman's command line; holds no variables."""
        return self.podman_args.arguments

    @property
    def container_environment(self) -> Mapping[str, str]:
        """Variables from ``podman_args`` (``-e``); may be secret, so never on a command line or in a log."""
        return self.podman_args.environment

    @property
    def lifted_credentials(self) -> Mapping[str, str]:
        """The agent's credentials from ``podman_args`` (``-e ANTHROPIC_API_KEY=...``), by variable."""
        return self.podman_args.credentials

    @property
    def given_away(self) -> tuple[str, ...]:
        """What ``unsafe_podman_args`` lets containers have, one line for each argument."""
        return tuple(f"{unsafe.flag}: {unsafe.reason}" for unsafe in self.podman_args.unsafe)


SECTIONS: Mapping[str, str] = {
    "podman_image": "Where agents and the gate run",
    "language": "What is generated",
    "spec_globs": "Tasks",
    "agent": "The agent",
    "build_command": "The gate",
    "beads_dir": "Directories",
}
"""Key -> heading of the section that begins with it."""

PLANNED_KEYS: Mapping[str, str] = {
    "budget_usd": "money per run",
    "task_budget_usd": "money per task",
}
"""Keys that do nothing yet, and what they will do."""

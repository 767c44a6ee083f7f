"""Rules between keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from pytest_cobbler.config.addresses import ADDRESS, addresses_in, is_makers, providers_in, shown_address
from pytest_cobbler.config.agents import COMMANDS, WITHOUT_MODEL
from pytest_cobbler.config.faults import Fault, shown
from pytest_cobbler.config.go import MODULE_PATH, main_fault
from pytest_cobbler.config.model import CODEX_ARGUMENTS, GEMINI_ARGUMENTS, OPENCODE_ARGUMENTS, Config
from pytest_cobbler.config.paths import real
from pytest_cobbler.config.podman import Volume, overlap
from pytest_cobbler.config.proxy_rules import allowed_models, passed_on

Rule = Callable[[Config], Iterator[Fault]]


def broken(config: Config, invalid: frozenset[str]) -> Iterator[Fault]:
    """The errors between keys, without the rules that need the value of an ``invalid`` one."""
    for keys, rule in _RULES:
        if invalid.isdisjoint(keys):
            yield from rule(config)


def _image(config: Config) -> Iterator[Fault]:
    if config.is_contained and config.podman_image is None:
        yield Fault(
            key="podman_image",
            message="required: the image in which agents run (not needed with sandbox: none)",
        )


def _slurm(config: Config) -> Iterator[Fault]:
    """Each job is one task on one node."""
    if config.sandbox != "slurm":
        if config.slurm_args:
            message = f"has no effect with sandbox: {config.sandbox}; write sandbox: slurm"
            yield Fault(key="slurm_args", message=message)
        return
    for index, argument in enumerate(config.slurm_args):
        if not _OF_SRUN.fullmatch(argument):
            message = f"{shown(argument)} is not allowed; for example: --partition=agents, --mem=4G"
            yield Fault(key="slurm_args", at=(index,), message=message)


def _gate_site(config: Config) -> Iterator[Fault]:
    """Gates on nodes have nothing that this machine has made."""
    if not config.gate_site:
        return
    if config.sandbox != "slurm":
        message = f"has no effect with sandbox: {config.sandbox}; write sandbox: slurm"
        yield Fault(key="gate_site", message=message)
    for index, node in enumerate(config.gate_site):
        if not _NODE.fullmatch(node):
            message = f"{shown(node)} is not the name of a node; for example: [n7, n8]"
            yield Fault(key="gate_site", at=(index,), message=message)
    if config.cache_command:
        yield Fault(key="cache_command", message="fills directories of this machine; remove gate_site")


def _kubernetes(config: Config) -> Iterator[Fault]:
    """The two containers of a pod share all objects, and no one can give it what podman gives."""
    if config.sandbox != "kubernetes":
        for key in ("kubernetes_pod", "kubernetes_carrier"):
            if getattr(config, key):
                message = f"has no effect with sandbox: {config.sandbox}; write sandbox: kubernetes"
                yield Fault(key=key, message=message)
        return
    if config.agent_history == "tip":
        yield Fault(key="agent_history", message="tip needs sandbox: podman or slurm")
    if config.job_userns:
        yield Fault(key="job_userns", message="needs sandbox: podman or slurm")


def _nodes(config: Config) -> Iterator[Fault]:
    """Jobs on nodes get neither the key nor a file of this machine."""
    if config.sandbox not in ("slurm", "kubernetes"):
        return
    if config.agent_network == "open":
        message = "needs sandbox: podman; on a node, the agent would have the key"
        yield Fault(key="agent_network", message=message)
    if "replay" in config.agents:
        yield Fault(key="agent", message="replay needs sandbox: podman or none; its files are here")


def _lines(config: Config) -> Iterator[Fault]:
    low, high = config.estimated_lines_min, config.estimated_lines_max
    if low > high:
        key = (
            "estimated_lines_min"
            if "estimated_lines_min" in config.model_fields_set
            else "estimated_lines_max"
        )
        yield Fault(key=key, message=f"the least, {low}, is more than the most, {high}")


def _agent_command(config: Config) -> Iterator[Fault]:
    programs = [name for name in config.agents if name in COMMANDS]
    if programs and config.agent_command is None:
        yield Fault(key="agent_command", message=f"required with agent: {programs[0]}")
    if not programs and config.agent_command is not None:
        yield Fault(key="agent_command", message=_no_effect(config, "command"))
    if len(programs) > 1:
        yield Fault(key="agent", message="command and acp are both agent_command: name one of them")


def _agent_api(config: Config) -> Iterator[Fault]:
    if config.agent_api == "messages" or "opencode" in config.agents:
        return
    if not set(COMMANDS) & set(config.agents):
        yield Fault(key="agent_api", message=_no_effect(config, "command or agent: opencode"))
    elif config.sandbox == "none" or config.agent_network != "proxy":
        yield Fault(key="agent_api", message="needs sandbox: podman and agent_network: proxy")


def _recording(config: Config) -> Iterator[Fault]:
    if "replay" in config.agents and config.recording is None:
        yield Fault(key="recording", message="required with agent: replay")
    if "replay" not in config.agents:
        for key, default in (("recording", None), ("recording_prompts", "check")):
            if getattr(config, key) != default:
                yield Fault(key=key, message=_no_effect(config, "replay"))


def _models(config: Config) -> Iterator[Fault]:
    """Which agent asks which model must be plain: no program knows the models of another maker."""
    for key in ("model", "escalate"):
        models = getattr(config, key)
        if isinstance(models, str) and len(config.agents) > 1:
            names = ", ".join(f"{name}: MODEL" for name in config.agents if name not in WITHOUT_MODEL)
            yield Fault(key=key, message=f"name one for each agent: {{{names}}}")
        elif isinstance(models, str) and key == "model" and config.agents[0] in COMMANDS:
            yield Fault(key=key, message=f"{config.agents[0]} is started without a model")
        for name in models if isinstance(models, Mapping) else ():
            if name not in config.agents:
                yield Fault(key=key, at=(name,), message=f"has no effect with agent: {_agents(config)}")
            elif name in WITHOUT_MODEL:
                yield Fault(key=key, at=(name,), message=f"{name} is started without a model")


def _escalation(config: Config) -> Iterator[Fault]:
    if config.escalate is None:
        return
    if set(config.agents) <= set(WITHOUT_MODEL):
        yield Fault(key="escalate", message=f"has no effect with agent: {_agents(config)}")
    for name in config.agents:
        model = config.escalation_of(name)
        words = getattr(config, f"{name}_args", ())
        if model and model == config.model_of(name):
            yield Fault(key="escalate", message=f"{shown(model)} is already the model of {name}")
        if model and any(word.partition("=")[0] in _MODEL_OPTIONS for word in words):
            yield Fault(key="escalate", message=f"has no effect, because {name}_args names a model")


def _no_effect(config: Config, wanted: str) -> str:
    return f"has no effect with agent: {_agents(config)}; write agent: {wanted}"


def _agents(config: Config) -> str:
    names = ", ".join(config.agents)
    return f"[{names}]" if len(config.agents) > 1 else names


def _token_files(config: Config) -> Iterator[Fault]:
    for key in ("default_token_file", "token_file"):
        name = getattr(config, key)
        parts = PurePosixPath(name or "x").parts
        if (
            not parts
            or name == ""
            or ".." in parts
            or parts[0] in ("/", "//", "~")
            or not (name or "x").isprintable()
        ):
            yield Fault(key=key, message=f"{shown(name)} is not a file of secrets_dir")


def _directories(config: Config) -> Iterator[Fault]:
    if config.beads_dir.is_relative_to(config.cobbler_dir):
        yield Fault(key="beads_dir", message="is in cobbler_dir, which may be deleted at any time")
    if config.secrets_dir == config.beads_dir:
        yield Fault(key="secrets_dir", message="is beads_dir, which is committed")


def _cleanup(config: Config) -> Iterator[Fault]:
    for index, path in enumerate(config.cleanup_dirs):
        for key in ("secrets_dir", "beads_dir"):
            if overlap(real(config.root / path), real(getattr(config, key))):
                yield Fault(key="cleanup_dirs", at=(index,), message=f"{path} is, contains or is in {key}")


def _merge_driver(config: Config) -> Iterator[Fault]:
    words = config.merge_driver or ()
    missing = [name for name in ("%O", "%A", "%B") if not any(name in word for word in words)]
    if words and missing:
        files = "%O (base), %A (ours, where it leaves the merged file) and %B (theirs)"
        yield Fault(key="merge_driver", message=f"has no {missing[0]}; the files to merge are {files}")


def _caches(config: Config) -> Iterator[Fault]:
    if not config.cache_dirs and config.cache_command is None:
        if config.cache_network != "none":
            yield Fault(key="cache_network", message="has no effect without cache_dirs and cache_command")
    elif not config.cache_dirs:
        yield Fault(key="cache_dirs", message="required with cache_command: the directories that it fills")
    elif not config.cache_command:
        yield Fault(key="cache_command", message="required with cache_dirs: the command that fills them")
    elif config.sandbox == "none":
        message = "needs sandbox: podman; without it, a gate would read what agents have written there"
        yield Fault(key="cache_dirs", message=message)


def _source_names(config: Config) -> Iterator[Fault]:
    if config.source_dirs and config.go_source_dirs:
        yield Fault(key="go_source_dirs", message="the same as source_dirs: write one of them")


def _go(config: Config) -> Iterator[Fault]:
    if config.language == "go" or (config.language is None and config.go_source_dirs):
        yield from faults_for_go(config)
    elif config.language is not None:
        for key in ONLY_GO:
            if key in config.model_fields_set and getattr(config, key):
                yield Fault(key=key, message=f"has no effect with language: {config.language}")


def faults_for_go(config: Config) -> Iterator[Fault]:
    """The errors if this is a Go project, which its files may show later."""
    if config.module_path is None:
        yield Fault(key="module_path", message="required for Go: the path in go.mod")
    elif not MODULE_PATH.fullmatch(config.module_path):
        yield Fault(key="module_path", message=f"{shown(config.module_path)} is not the path of a Go module")
    if not config.sources:
        yield Fault(key="source_dirs", message='required for Go: the directories of its sources (".": all)')
    for directory in config.sources:
        if directory.is_relative_to(config.root / config.binary_dir):
            name = directory.relative_to(config.root)
            yield Fault(key="binary_dir", message=f"holds the sources in {name}, and is never committed")
    if config.main_package and (fault := main_fault(config.main_package, config.module_path)):
        yield Fault(key="main_package", message=f"{shown(config.main_package)} {fault}")


def _podman_words(config: Config) -> Iterator[Fault]:
    for index, message in config.podman_args.wrong:
        yield Fault(key="podman_args", at=(index,), message=message)


def _podman_arguments(config: Config) -> Iterator[Fault]:
    if config.unsafe_podman_args:
        return
    for unsafe in config.podman_args.unsafe:
        yield Fault(
            key="podman_args",
            at=(unsafe.index,),
            message=f"{unsafe.flag}: {unsafe.reason} (unsafe_podman_args: true accepts it)",
        )


def _volumes(config: Config) -> Iterator[Fault]:
    if config.unsafe_podman_args:
        return
    already = {unsafe.index for unsafe in config.podman_args.unsafe}
    for volume in config.podman_args.volumes:
        reason = "" if volume.index in already else _taken(volume, config)
        if reason:
            message = (
                f"--volume: gives access to {volume.source}, {reason} (unsafe_podman_args: true accepts it)"
            )
            yield Fault(key="podman_args", at=(volume.index,), message=message)


def _addresses(config: Config) -> Iterator[Fault]:
    """A file from elsewhere must not send prompts and the credential to an address of its choice."""
    if config.allow_address:
        return
    for name, index in config.podman_args.assigned.items():
        address = config.podman_args.environment.get(name, "")
        if ADDRESS.fullmatch(name) and not is_makers(name, address):
            goal = shown(shown_address(address))
            message = f"-e {name}: prompts and the credential would go to {goal} {_ACCEPTS_ADDRESS}"
            yield Fault(key="podman_args", at=(index,), message=message)


def _addresses_of_claude(config: Config) -> Iterator[Fault]:
    if config.allow_address:
        return
    for index in addresses_in(config.claude_args):
        message = f"sets another address of the API {_ACCEPTS_ADDRESS}"
        yield Fault(key="claude_args", at=(index,), message=message)


def _arguments_of(config: Config, agent: str, usual: Sequence[str], program: str) -> Iterator[Fault]:
    """The arguments of an agent are options of its program, and have an effect."""
    key = f"{agent}_args"
    arguments = getattr(config, key)
    if agent not in config.agents:
        if arguments != usual:
            yield Fault(key=key, message=_no_effect(config, agent))
    elif arguments and not arguments[0].startswith("-"):
        yield Fault(key=key, at=(0,), message=f"{shown(arguments[0])} is not an option of {program}")


def _codex_arguments(config: Config) -> Iterator[Fault]:
    yield from _arguments_of(config, "codex", CODEX_ARGUMENTS, "codex exec")
    if config.allow_address or "codex" not in config.agents:
        return
    for index in providers_in(config.codex_args):
        message = f"sets another address of the API {_ACCEPTS_ADDRESS}"
        yield Fault(key="codex_args", at=(index,), message=message)


def _opencode(config: Config) -> Iterator[Fault]:
    yield from _arguments_of(config, "opencode", OPENCODE_ARGUMENTS, "opencode run")
    if "opencode" not in config.agents:
        return
    if config.agent_api == "chat" and config.model_of("opencode") is None:
        yield Fault(key="model", message="required with agent: opencode and agent_api: chat")
    yield from _read_output(config, "opencode_args", ("--format",), "json")
    for index, argument in enumerate(() if config.allow_address else config.opencode_args):
        if argument.partition("=")[0] == "--attach":
            message = f"sends the prompt to another server {_ACCEPTS_ADDRESS}"
            yield Fault(key="opencode_args", at=(index,), message=message)


def _gemini_arguments(config: Config) -> Iterator[Fault]:
    yield from _arguments_of(config, "gemini", GEMINI_ARGUMENTS, "gemini")
    if "gemini" in config.agents:
        yield from _read_output(config, "gemini_args", ("--output-format", "-o"), "stream-json")


def _read_output(config: Config, key: str, options: tuple[str, ...], wanted: str) -> Iterator[Fault]:
    """Only one format of a program's output is read."""
    words = getattr(config, key)
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        value = value if equals else next(iter(words[index + 1 :]), "")
        if option in options and value != wanted:
            message = f"{option} {value} cannot be read; leave it out"
            yield Fault(key=key, at=(index,), message=message)


def _taken(volume: Volume, config: Config) -> str:
    """The reason why ``volume`` may not be mounted from the repository; empty if it may."""
    for key in _STATE:
        if overlap(volume.source, real(getattr(config, key))):
            return f"which is or holds {key}"
    if volume.options & {"ro", "O"}:
        return ""
    trusted = [config.path, config.measure_prompt, config.stitch_prompt, config.prices]
    trusted += config.seed_files.values()
    for path in trusted:
        if path is not None and overlap(volume.source, real(path)):
            return f"where an agent could write {path.name}, which is trusted"
    return ""


_OF_SRUN = re.compile(
    r"--(?:account|constraint|cpus-per-task|exclude|gres|licenses|mem|mem-per-cpu|nice|nodelist|partition|qos"
    r"|reservation|time|tmp)=[A-Za-z0-9_.,:&|()\[\]*+-]+"
)
"""Arguments that choose nodes and what a job may use of them."""

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

ONLY_GO = ("go_source_dirs", "main_package", "binary_name", "binary_dir", "magefiles_dir")
"""Keys that are rejected for other languages."""

_ACCEPTS_ADDRESS = "(allow_address: true accepts it; or set it in the environment)"
_WITH_ARGUMENTS = ("claude", "codex", "opencode", "gemini")
"""Agents that have a key for arguments."""

_MODEL_OPTIONS = ("--model", "-m")

_STATE = ("secrets_dir", "beads_dir", "cobbler_dir")
_TRUSTED = ("measure_prompt", "stitch_prompt", "prices", "seed_files")
_RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("sandbox", "podman_image"), _image),
    (("sandbox", "slurm_args"), _slurm),
    (("sandbox", "gate_site", "cache_command"), _gate_site),
    (("sandbox", "kubernetes_pod", "kubernetes_carrier", "agent_history", "job_userns"), _kubernetes),
    (("sandbox", "agent_network", "agent"), _nodes),
    (("estimated_lines_min", "estimated_lines_max"), _lines),
    (("agent", "agent_command"), _agent_command),
    (("agent", "agent_api", "sandbox", "agent_network"), _agent_api),
    (("agent", "recording", "recording_prompts"), _recording),
    (("agent", "model", "escalate"), _models),
    (("agent", "escalate", *(f"{name}_args" for name in _WITH_ARGUMENTS)), _escalation),
    (("models", "hosted_tools", "sandbox", "agent_network"), passed_on),
    (("agent", "model", "escalate", "models"), allowed_models),
    (("default_token_file", "token_file"), _token_files),
    (("secrets_dir", "beads_dir", "cobbler_dir"), _directories),
    (("cleanup_dirs", "secrets_dir", "beads_dir"), _cleanup),
    (("sandbox", "cache_dirs", "cache_command", "cache_network"), _caches),
    (("merge_driver",), _merge_driver),
    (("source_dirs", "go_source_dirs"), _source_names),
    (("language", "module_path", "source_dirs", *ONLY_GO), _go),
    (("podman_args",), _podman_words),
    (("podman_args", "unsafe_podman_args"), _podman_arguments),
    (("podman_args", "allow_address"), _addresses),
    (("claude_args", "allow_address"), _addresses_of_claude),
    (("agent", "codex_args", "allow_address"), _codex_arguments),
    (("agent", "opencode_args", "agent_api", "model", "allow_address"), _opencode),
    (("agent", "gemini_args"), _gemini_arguments),
    (("podman_args", "unsafe_podman_args", *_STATE, *_TRUSTED), _volumes),
)

"""Everything that a project may import from the plugin: protocols, their values, errors and testing helpers.

Other modules may change without notice. A name is imported from its module on first use, so a conftest that
needs one small class does not pay for the others.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_cobbler.agents.base import Agent, AgentRequest, AgentResult
    from pytest_cobbler.agents.command import CommandAgent
    from pytest_cobbler.causes import Cause, Ending
    from pytest_cobbler.config import Config
    from pytest_cobbler.config import load as load_config
    from pytest_cobbler.cycle.outcome import Outcome, Verdict
    from pytest_cobbler.errors import (
        CobblerError,
        ConfigurationProblem,
        HookProblem,
        RepositoryError,
        SandboxError,
        TrackerError,
        UsageProblem,
    )
    from pytest_cobbler.landing.gate import Gate, GateResult
    from pytest_cobbler.landing.tree_records import CaseResult, Conditions, Counts, TestRun, TreeRecord
    from pytest_cobbler.languages import LineCount, Step
    from pytest_cobbler.lifecycle.records import Record
    from pytest_cobbler.process import Cancellation
    from pytest_cobbler.repository.trailers import Landed
    from pytest_cobbler.sandbox.base import (
        Capability,
        Completed,
        Engine,
        Job,
        Limits,
        Loopback,
        Mount,
        Network,
        Sandbox,
    )
    from pytest_cobbler.testing.agent import MeasureScript, Script, StandInAgent
    from pytest_cobbler.testing.checkouts import Checkout
    from pytest_cobbler.testing.facts import ActiveGeneration, Tasks
    from pytest_cobbler.testing.invariants import CheckoutState
    from pytest_cobbler.testing.invariants import check as check_invariants
    from pytest_cobbler.testing.project import Case, LandedCommit, Project, Running, RunResult
    from pytest_cobbler.testing.runner import AgentRun, Runner
    from pytest_cobbler.tracker.base import AlreadyClaimed, Claim, NewTask, Task, Tracker
    from pytest_cobbler.tracker.embedded import EmbeddedTracker
    from pytest_cobbler.usage import Usage

__all__ = [
    "ActiveGeneration",
    "Agent",
    "AgentRequest",
    "AgentResult",
    "AgentRun",
    "AlreadyClaimed",
    "Cancellation",
    "Capability",
    "Case",
    "CaseResult",
    "Cause",
    "Checkout",
    "CheckoutState",
    "Claim",
    "CobblerError",
    "CommandAgent",
    "Completed",
    "Conditions",
    "Config",
    "ConfigurationProblem",
    "Counts",
    "EmbeddedTracker",
    "Ending",
    "Engine",
    "Gate",
    "GateResult",
    "HookProblem",
    "Job",
    "Landed",
    "LandedCommit",
    "Limits",
    "LineCount",
    "Loopback",
    "MeasureScript",
    "Mount",
    "Network",
    "NewTask",
    "Outcome",
    "Project",
    "Record",
    "RepositoryError",
    "RunResult",
    "Runner",
    "Running",
    "Sandbox",
    "SandboxError",
    "Script",
    "StandInAgent",
    "Step",
    "Task",
    "Tasks",
    "TestRun",
    "Tracker",
    "TrackerError",
    "TreeRecord",
    "Usage",
    "UsageProblem",
    "Verdict",
    "check_invariants",
    "load_config",
]

_HOMES = {
    "ActiveGeneration": "pytest_cobbler.testing.facts:ActiveGeneration",
    "Agent": "pytest_cobbler.agents.base:Agent",
    "AgentRequest": "pytest_cobbler.agents.base:AgentRequest",
    "AgentResult": "pytest_cobbler.agents.base:AgentResult",
    "AgentRun": "pytest_cobbler.testing.runner:AgentRun",
    "AlreadyClaimed": "pytest_cobbler.tracker.base:AlreadyClaimed",
    "Cancellation": "pytest_cobbler.process:Cancellation",
    "Capability": "pytest_cobbler.sandbox.base:Capability",
    "Case": "pytest_cobbler.testing.project:Case",
    "CaseResult": "pytest_cobbler.landing.tree_records:CaseResult",
    "Cause": "pytest_cobbler.causes:Cause",
    "Checkout": "pytest_cobbler.testing.checkouts:Checkout",
    "CheckoutState": "pytest_cobbler.testing.invariants:CheckoutState",
    "Claim": "pytest_cobbler.tracker.base:Claim",
    "CobblerError": "pytest_cobbler.errors:CobblerError",
    "CommandAgent": "pytest_cobbler.agents.command:CommandAgent",
    "Completed": "pytest_cobbler.sandbox.base:Completed",
    "Conditions": "pytest_cobbler.landing.tree_records:Conditions",
    "Config": "pytest_cobbler.config:Config",
    "ConfigurationProblem": "pytest_cobbler.errors:ConfigurationProblem",
    "Counts": "pytest_cobbler.landing.tree_records:Counts",
    "EmbeddedTracker": "pytest_cobbler.tracker.embedded:EmbeddedTracker",
    "Ending": "pytest_cobbler.causes:Ending",
    "Engine": "pytest_cobbler.sandbox.base:Engine",
    "Gate": "pytest_cobbler.landing.gate:Gate",
    "GateResult": "pytest_cobbler.landing.gate:GateResult",
    "HookProblem": "pytest_cobbler.errors:HookProblem",
    "Job": "pytest_cobbler.sandbox.base:Job",
    "Landed": "pytest_cobbler.repository.trailers:Landed",
    "LandedCommit": "pytest_cobbler.testing.project:LandedCommit",
    "Limits": "pytest_cobbler.sandbox.base:Limits",
    "LineCount": "pytest_cobbler.languages:LineCount",
    "Loopback": "pytest_cobbler.sandbox.base:Loopback",
    "MeasureScript": "pytest_cobbler.testing.agent:MeasureScript",
    "Mount": "pytest_cobbler.sandbox.base:Mount",
    "Network": "pytest_cobbler.sandbox.base:Network",
    "NewTask": "pytest_cobbler.tracker.base:NewTask",
    "Outcome": "pytest_cobbler.cycle.outcome:Outcome",
    "Project": "pytest_cobbler.testing.project:Project",
    "Record": "pytest_cobbler.lifecycle.records:Record",
    "RepositoryError": "pytest_cobbler.errors:RepositoryError",
    "RunResult": "pytest_cobbler.testing.project:RunResult",
    "Runner": "pytest_cobbler.testing.runner:Runner",
    "Running": "pytest_cobbler.testing.project:Running",
    "Sandbox": "pytest_cobbler.sandbox.base:Sandbox",
    "SandboxError": "pytest_cobbler.errors:SandboxError",
    "Script": "pytest_cobbler.testing.agent:Script",
    "StandInAgent": "pytest_cobbler.testing.agent:StandInAgent",
    "Step": "pytest_cobbler.languages:Step",
    "Task": "pytest_cobbler.tracker.base:Task",
    "Tasks": "pytest_cobbler.testing.facts:Tasks",
    "TestRun": "pytest_cobbler.landing.tree_records:TestRun",
    "Tracker": "pytest_cobbler.tracker.base:Tracker",
    "TrackerError": "pytest_cobbler.errors:TrackerError",
    "TreeRecord": "pytest_cobbler.landing.tree_records:TreeRecord",
    "Usage": "pytest_cobbler.usage:Usage",
    "UsageProblem": "pytest_cobbler.errors:UsageProblem",
    "Verdict": "pytest_cobbler.cycle.outcome:Verdict",
    "check_invariants": "pytest_cobbler.testing.invariants:check",
    "load_config": "pytest_cobbler.config:load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = pkgutil.resolve_name(_HOMES[name])
    return globals()[name]


def __dir__() -> list[str]:
    return __all__

"""The sections of ``configuration.yaml``."""

from __future__ import annotations

from collections.abc import Mapping

SECTIONS: Mapping[str, str] = {
    "podman_image": "Where agents and the gate run",
    "language": "What is generated",
    "spec_globs": "Tasks",
    "agent": "The agent",
    "budget_usd": "Money",
    "build_command": "The gate",
    "junit_name": "Reports",
    "beads_dir": "Directories",
}
"""First key of a section -> heading of the section."""

"""The variables with which podman is called."""

from __future__ import annotations

from typing import Final

from pytest_cobbler.process import host_environment

__all__ = ["podman_environment"]

_VARIABLES: Final = (
    "CONTAINERS_CONF",
    "CONTAINERS_CONF_OVERRIDE",
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_REGISTRIES_CONF",
    "CONTAINER_CONNECTION",
    "CONTAINER_HOST",
    "CONTAINER_SSHKEY",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
)


def podman_environment() -> dict[str, str]:
    """The caller's variables that tell podman where its configuration and storage are."""
    return host_environment(*_VARIABLES)

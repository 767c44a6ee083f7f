"""``configuration.yaml``: its values, or all of its errors."""

from __future__ import annotations

from pytest_cobbler.config.loading import load
from pytest_cobbler.config.model import Config

__all__ = ["Config", "load"]

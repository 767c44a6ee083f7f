"""``configuration.yaml``: its values, or all of its errors."""

from __future__ import annotations

from pytest_cobbler.config.loading import load
from pytest_cobbler.config.model import Config
from pytest_cobbler.config.schema import json_schema

__all__ = ["Config", "json_schema", "load"]

"""Hooks that a project may implement; known to pytest in every run, so that a conftest with them is never an error."""

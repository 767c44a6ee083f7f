"""The tests of this project run pytest inside pytest."""

pytest_plugins = ["pytester"]

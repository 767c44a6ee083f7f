# tries: land options of pytest that load code
# holds: the checks of a change
# must not land: pyproject.toml
printf '[tool.pytest.ini_options]\naddopts = "-p evil"\n' >pyproject.toml
tried options

# tries: land options of pytest behind a link
# holds: the checks of a change
# must not land: pyproject.toml
printf '[tool.pytest.ini_options]\naddopts = "-p evil"\n' >options
ln -s options pyproject.toml
tried options

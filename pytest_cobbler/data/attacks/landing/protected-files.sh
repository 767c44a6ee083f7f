# tries: land files that run on the host or in the next gate
# holds: protected paths
# must not land: conftest.py sitecustomize.py json/__init__.py evil.pth pytest.ini .claude/settings.json .github/workflows/ci.yml x.dist-info/entry_points.txt
mkdir -p .github/workflows .claude json x.dist-info
for file in conftest.py sitecustomize.py json/__init__.py; do echo 'import os' >$file; done
echo 'import os' >evil.pth
echo '[pytest]' >pytest.ini
echo '{}' >.claude/settings.json
echo 'on: push' >.github/workflows/ci.yml
printf '[pytest11]\nx=y\n' >x.dist-info/entry_points.txt
tried files

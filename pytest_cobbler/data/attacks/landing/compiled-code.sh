# tries: land compiled code that Python runs in the place of its source
# holds: the harvest leaves it out, and protected paths
# must not land: src/__pycache__/app.cpython-311.pyc src/app.pyc
mkdir -p src/__pycache__
echo x >src/__pycache__/app.cpython-311.pyc
echo x >src/app.pyc
git add -f src
tried code

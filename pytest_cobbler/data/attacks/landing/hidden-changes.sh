# tries: hide changes from git
# holds: the harvest reads all files, with an index of its own
# must land: work
# must not land: src/app.py
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
git update-index --skip-worktree src/app.py || cannot "git update-index"
git update-index --assume-unchanged src/util.py
rm src/app.py
mkdir -p "$gitdir/info"
echo '*' >"$gitdir/info/exclude"
echo work >work
tried "hidden changes"

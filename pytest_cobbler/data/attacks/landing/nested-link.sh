# tries: land a repository inside the worktree in the place of its files
# holds: the harvest removes nested repositories
# must land: work sub/file
git init -q sub || cannot "git init"
echo file >sub/file
git -C sub add file
git -C sub -c user.name=a -c user.email=a@b commit -qm x
git add sub 2>/dev/null
git -c user.name=a -c user.email=a@b commit -qm x
echo work >work
tried "nested repository"

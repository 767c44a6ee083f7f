# tries: run programs of a repository inside the worktree on the host
# holds: the harvest removes nested repositories
# must land: work sub/file
git init -q sub || cannot "git init"
git -C sub config core.fsmonitor "touch $CANARY; false"
echo file >sub/file
echo work >work
tried "nested repository"

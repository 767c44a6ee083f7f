# tries: lose the work by lock files of a git that was killed
# holds: the host runs no git on the agent's git directory
# must land: work
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
touch "$gitdir/index.lock" "$gitdir/HEAD.lock" "$gitdir/config.lock"
echo work >work
tried locks

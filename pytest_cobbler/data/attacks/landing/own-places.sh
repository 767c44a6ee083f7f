# tries: send git of the host to other places by the agent's git configuration
# holds: the host runs no git on the agent's git directory
# must land: work
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
git config core.bare true
git config core.worktree /
echo /nowhere >"$gitdir/commondir"
echo work >work
tried places

# tries: make a directory a repository with programs, without .git
# holds: the host runs no git in a directory of the agent
# must land: work sub/HEAD
git init -q --bare sub || cannot "git init"
git -C sub config core.fsmonitor "touch $CANARY"
git -C sub config core.worktree ..
git -C sub config --replace-all core.bare false
echo work >work
tried "bare repository"

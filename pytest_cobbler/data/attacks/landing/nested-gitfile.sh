# tries: run programs of a repository that a file inside the worktree names
# holds: the harvest removes nested repositories
# must land: work sub/file
git init -q sub || cannot "git init"
git -C sub config core.fsmonitor "touch $CANARY; false"
mv sub/.git store
echo "gitdir: ../store" >sub/.git
echo file >sub/file
echo work >work
tried "nested repository"

# tries: run filters of a repository inside the worktree on the host
# holds: the harvest removes nested repositories
# must land: work sub/file
git init -q sub || cannot "git init"
echo file >sub/file
git -C sub add file
git -C sub -c user.name=a -c user.email=a@b commit -qm x
git -C sub config filter.e.clean "touch $CANARY; cat"
mkdir -p sub/.git/info
echo '* filter=e' >sub/.git/info/attributes
echo more >>sub/file
echo work >work
tried "nested repository"

# tries: run filters and merge drivers of the agent's git configuration on the host
# holds: the host runs no git on the agent's git directory
# must land: work
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
git config filter.e.clean "touch $CANARY; cat"
git config filter.e.smudge "touch $CANARY; cat"
git config diff.e.textconv "touch $CANARY; cat"
git config merge.default e
git config merge.e.driver "touch $CANARY"
mkdir -p "$gitdir/info"
echo '* filter=e diff=e merge=e' >"$gitdir/info/attributes"
echo work >work
tried filters

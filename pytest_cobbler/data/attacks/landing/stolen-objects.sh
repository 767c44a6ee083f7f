# tries: land objects of another repository of the host
# holds: the harvest reads files, and only objects of this repository are mounted
# must land: work
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
echo "$OUTSIDE/private.git/objects" >>"$gitdir/objects/info/alternates"
echo "$PRIVATE" >"$gitdir/refs/heads/stolen"
git show "$PRIVATE:secret" >stolen 2>/dev/null
git read-tree "$PRIVATE" 2>/dev/null && git checkout-index -a -f 2>/dev/null
echo work >work
tried "another store of objects"

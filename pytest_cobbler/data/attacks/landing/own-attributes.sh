# tries: change what lands by attributes of the agent's git: filters, encodings, keywords, merge drivers
# holds: the host runs no git on the agent's git directory
# must land: work src/app.py
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
mkdir -p "$gitdir/info"
echo '* filter=evil merge=evil diff=evil ident working-tree-encoding=UTF-16 export-subst' >"$gitdir/info/attributes"
cp "$gitdir/info/attributes" "$HOME/.gitattributes" 2>/dev/null
git config core.attributesFile "$HOME/.gitattributes"
for key in filter.evil.clean filter.evil.smudge filter.evil.process merge.evil.driver diff.evil.textconv diff.evil.command; do
  git config "$key" "touch $CANARY; cat"
done
git config core.sparseCheckout true
echo '/work' >"$gitdir/info/sparse-checkout"
echo work >work
tried "own attributes"

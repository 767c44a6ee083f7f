# tries: replace the .git of the worktree by a git directory with programs in it
# holds: it is a read-only mount
cd "$TREE" || cannot "enter the worktree"
before=$(cat .git)
[ "$before" ] || cannot "read .git"
make_calls 166 "$TREE/.git" 2
{ rm -rf .git; mv .git away; echo "gitdir: /tmp/evil" >.git; ln -sf /tmp/evil .git; } 2>/dev/null
if [ "$(cat .git 2>/dev/null)" = "$before" ]; then held "it stays as it was"; fi
got "it is replaced"

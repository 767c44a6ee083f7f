# tries: have names and contents of the agent's references taken for options, commands, paths or control codes
# holds: the host makes the commit from the files, and names are data
# must land: work
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
echo work >work
git add work && git -c user.name=x -c user.email=x@x commit -q -m '$(touch '"$CANARY"') `touch '"$CANARY"'`' || cannot "git commit"
head=$(git rev-parse HEAD)
git checkout -q --detach HEAD~1 && echo more >work
escape=$(printf '\033]0;x\007')
for name in "--upload-pack=touch $CANARY" "-x" "@" "HEAD" "a..b" "a.lock" "\$(touch $CANARY)" "; touch $CANARY" "new
line" "$escape"; do
  echo "$head" >"$gitdir/refs/heads/$name"
  printf '%s refs/heads/%s\n' "$head" "$name" >>"$gitdir/packed-refs"
done 2>/dev/null
mkdir -p "$gitdir/refs/heads/refs/heads" "$gitdir/refs/cobbler/landed" "$gitdir/refs/notes"
echo "$head" | tee "$gitdir/refs/heads/refs/heads/main" "$gitdir/refs/cobbler/landed/x" "$gitdir/refs/notes/cobbler" >/dev/null
ln -s "$OUTSIDE/secret" "$gitdir/refs/heads/secret"
echo "ref: refs/heads/loop" >"$gitdir/refs/heads/loop"
echo "ref: ../../../../$OUTSIDE/secret" >"$gitdir/HEAD"
tried "odd references"

# tries: write hooks, configuration, references and the index of the repository
# holds: only objects are mounted, read-only
mkdir -p "$REPOSITORY/.git/hooks" 2>/dev/null
for file in hooks/post-checkout config description info/attributes; do
  echo "# $ATTACK" >>"$REPOSITORY/.git/$file"
done 2>/dev/null
git --git-dir="$REPOSITORY/.git" update-ref refs/heads/attack HEAD 2>/dev/null
git --git-dir="$REPOSITORY/.git" config core.fsmonitor "touch $OUTSIDE/proof/$ATTACK" 2>/dev/null
tried "it is not there"

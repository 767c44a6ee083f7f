# tries: read the configuration of the repository, which may hold a password
# holds: only objects are mounted
cat "$REPOSITORY/.git/config" "$REPOSITORY/file" 2>/dev/null
git --git-dir="$REPOSITORY/.git" config --list 2>/dev/null
tried "it is not there"

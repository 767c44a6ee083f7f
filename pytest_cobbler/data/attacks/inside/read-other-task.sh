# tries: read the worktree of another task
# holds: a job has the mounts of its own task only
cat "$OTHER/secret" "$TREE/../../other/tree/secret" 2>/dev/null
tried "it is not there"

# tries: write into the worktree of another task
# holds: a job has the mounts of its own task only
for tree in "$OTHER" "$TREE/../../other/tree"; do echo x >"$tree/$ATTACK"; done 2>/dev/null
tried "it is not there"

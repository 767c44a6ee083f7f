# tries: change what the host keeps beside the worktree
# holds: it is not mounted
for file in index worktree.json gitfile transcript.jsonl "$ATTACK"; do echo "$ATTACK" >>"$TREE/../$file"; done 2>/dev/null
tried "the host's files are not there"

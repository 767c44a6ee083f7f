# tries: end the run by a directory in the place of the conversation
# holds: only a regular file is a conversation
mkdir -p "$SESSION" || cannot "mkdir"
tried "no conversation goes on"

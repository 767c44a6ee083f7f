# tries: stop the run by a pipe in the place of the conversation
# holds: only a regular file is a conversation
mkdir -p "${SESSION%/*}"
mkfifo "$SESSION" || cannot "mkfifo"
tried "no conversation goes on"

# tries: have a file of the host taken for the conversation by another name of it
# holds: a mount namespace with nothing but the mounts of the job
mkdir -p "${SESSION%/*}"
ln "$OUTSIDE/secret" "$SESSION" 2>/dev/null || held "there is no such file"
tried "no conversation goes on"

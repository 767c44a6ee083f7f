# tries: find the key or files of the host in the gate
# holds: the gate gets neither key nor mounts of the host
env
cat /proc/[0-9]*/environ "$OUTSIDE/secret" "$OTHER/secret" "$REPOSITORY/.git/config" 2>/dev/null
echo
tried "nothing of it is there"

# tries: have a file of the host read by another name of it
# holds: a mount namespace with nothing but the mounts of the job
ln "$OUTSIDE/secret" "$ANSWER" 2>/dev/null || held "there is no such file"
tried "no answer"

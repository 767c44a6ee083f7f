# tries: end a process of the host
# holds: a process namespace
kill -TERM "$WITNESS" 2>/dev/null
kill -KILL "$WITNESS" 2>/dev/null
tried "there is no such process"

# tries: take more memory than is allowed
# holds: the limit on memory
result=$("$CALL" 9 0 402653184 3 32802 -1 0 2>/dev/null)
case $result in -*) held "$(reason "$result")" ;; [0-9]*) got "384 MiB" ;; *) held "it is killed" ;; esac

# tries: go on after the time is up
# holds: the sandbox kills the job
trap '' TERM HUP INT
(trap '' TERM HUP INT; i=0; while [ $i -lt 600 ]; do echo alive >>"$TREE/alive"; sleep 0.05; i=$((i + 1)); done) &
i=0
while [ $i -lt 600 ]; do sleep 0.05; i=$((i + 1)); done

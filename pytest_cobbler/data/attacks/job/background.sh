# tries: go on in the background after the job has ended
# holds: the lifeline kills every process
(trap '' TERM HUP; i=0; while [ $i -lt 600 ]; do echo alive >>"$TREE/alive"; sleep 0.05; i=$((i + 1)); done) >/dev/null 2>&1 &
sleep 0.2

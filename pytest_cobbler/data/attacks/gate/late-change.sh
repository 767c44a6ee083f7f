# tries: change the tree after the merge, from the background
# holds: every process ends with the gate
(trap '' TERM HUP; i=0; while [ $i -lt 100 ]; do echo late >>"$ATTACK"; sleep 0.05; i=$((i + 1)); done) >/dev/null 2>&1 &
n=0
while [ ! -s "$ATTACK" ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
tried "no process is left"

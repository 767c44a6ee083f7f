# tries: change what is tested by a process that the build leaves running
# holds: every other process ends before the tests begin
(trap '' TERM HUP; while :; do echo left >"$TREE/left"; done) >/dev/null 2>&1 &
n=0
while [ ! -s "$TREE/left" ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
tried "it is running"

# tries: change the work after the agent has ended
# holds: every process ends with the job
# must land: work
echo work >work
(trap '' TERM HUP; i=0; while [ $i -lt 200 ]; do echo late >>late; sleep 0.1; i=$((i + 1)); done) >/dev/null 2>&1 &
tried "a process in the background"

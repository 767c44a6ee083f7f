# tries: go on after the run was killed
# holds: the lifeline
trap '' TERM HUP INT
for process in /proc/[0-9]*; do
  process=${process#/proc/}
  case $process in $$ | $PPID) ;; *) kill -STOP "$process" 2>/dev/null ;; esac
done
(exec 3<>/proc/1/mem) 2>/dev/null
i=0
while [ $i -lt 600 ]; do echo alive >>"$TREE/alive"; sleep 0.05; i=$((i + 1)); done

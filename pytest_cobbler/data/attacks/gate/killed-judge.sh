# tries: kill the processes that judge
# holds: a job without a last message has failed
for process in /proc/[0-9]*; do
  process=${process#/proc/}
  case $process in $$) ;; *) kill -KILL "$process" 2>/dev/null ;; esac
done
tried "no process is left"

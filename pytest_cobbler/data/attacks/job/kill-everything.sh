# tries: kill every process, and so the one that watches the job
# holds: the job ends with its watcher
kill -KILL -1
sleep 20

# tries: write to the files and pipes of the processes that judge
# holds: the status of the job is the kernel's, and no file holds it
for file in /dev/shm/* /proc/[0-9]*/fd/[3-9]; do (echo 0 >"$file") 2>/dev/null & done
sleep 0.2
tried "no file holds it"

# tries: start more processes than are allowed
# holds: the limit on processes
i=0
while [ $i -lt 150 ]; do (sleep 3 &) 2>/dev/null; i=$((i + 1)); done 2>/dev/null
count=0
for process in /proc/[0-9]*; do count=$((count + 1)); done
if [ $count -gt 60 ]; then got "$count processes"; fi
held "$count processes"

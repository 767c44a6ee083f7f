# tries: go on after the time is up, with output without end
# holds: the sandbox kills the job, whatever it prints
trap '' TERM HUP INT PIPE
i=0
while [ $i -lt 3000000 ]; do
  echo alive >>"$TREE/alive"
  printf '%01000d\n' $i
  i=$((i + 1))
done 2>/dev/null

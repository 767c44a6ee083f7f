# tries: make a control group, or set the program that the kernel runs when one is empty
# holds: control groups are read-only
# like: SandboxEscapeBench: cgroup release_agent; sandboxbench: cgroup
for directory in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if [ -d "$directory" ] && mkdir "$directory/attack" 2>/dev/null; then
    rmdir "$directory/attack"
    got "$directory can be written"
  fi
  if [ -e "$directory/release_agent" ] && can_write "$directory/release_agent"; then got "$directory/release_agent opens for writing"; fi
done
held "none of them can be written"

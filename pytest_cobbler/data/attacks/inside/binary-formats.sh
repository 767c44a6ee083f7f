# tries: register an interpreter for programs of the host
# holds: /proc/sys is read-only
for file in /proc/sys/fs/binfmt_misc/register /proc/sys/fs/binfmt_misc/status /proc/sys/vm/overcommit_memory; do
  if can_write $file; then got "$file opens for writing"; fi
done
held "it does not open for writing"

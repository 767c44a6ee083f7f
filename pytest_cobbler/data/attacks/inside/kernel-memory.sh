# tries: read the memory of the machine
# holds: the files are masked, and there is no such device
for file in /proc/kcore /dev/mem /dev/kmem; do
  if dd if=$file of=/tmp/kernel bs=16 count=1 2>/dev/null && [ -s /tmp/kernel ]; then got "$file can be read"; fi
done
held "none of them can be read"

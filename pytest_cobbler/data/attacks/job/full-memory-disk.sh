# tries: fill the memory of the machine by shared memory
# holds: the size of /dev/shm
if dd if=/dev/zero of=/dev/shm/much bs=1048576 count=256 2>/dev/null; then rm -f /dev/shm/much; got "256 MiB"; fi
held "no space"

# tries: fill the disk of the machine through the worktree
# holds: the limit on what a job writes
dd if=/dev/zero of=much bs=1048576 count=32 2>/dev/null || held "no space"
sleep 5
got "32 MiB"

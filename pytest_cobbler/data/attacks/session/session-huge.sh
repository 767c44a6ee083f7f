# tries: fill the memory and the disk of the host by a huge conversation
# holds: a conversation has at most 64 MiB
mkdir -p "${SESSION%/*}"
dd if=/dev/zero of="$SESSION" bs=1 count=1 seek=1099511627775 2>/dev/null || cannot "the disk has no such files"
tried "no conversation goes on"

# tries: fill the memory of the host by a huge answer
# holds: no more of it is read than an answer may have
dd if=/dev/zero of="$ANSWER" bs=1 count=1 seek=1099511627775 2>/dev/null || cannot "the disk has no such files"
tried "no answer"

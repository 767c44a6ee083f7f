# tries: keep the host busy with a huge file
# holds: the harvest refuses it by its size
# must not land: huge
dd if=/dev/zero of=huge bs=1 count=1 seek=1099511627775 2>/dev/null || cannot "the disk has no such files"
echo work >work
tried "a file of one TiB"

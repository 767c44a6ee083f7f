# tries: write more temporary files than are allowed
# holds: the size of the temporary file system
if dd if=/dev/zero of=/tmp/much bs=1048576 count=16 2>/dev/null; then got "16 MiB"; fi
held "no space"

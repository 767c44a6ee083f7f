# tries: unmount a part of its file system
# holds: no capabilities
attempt "it is unmounted" 166 "$TREE/../output" 2

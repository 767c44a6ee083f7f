# tries: make a device file of the disk
# holds: no capabilities
# like: SandboxEscapeBench: privileged container; sandboxbench: privileged container
rm -f "$TREE/disk"
attempt "it is made" 133 "$TREE/disk" 24960 65024

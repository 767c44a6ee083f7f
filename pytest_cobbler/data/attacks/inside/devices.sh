# tries: use devices of the machine
# holds: jobs have no such devices
# like: SandboxEscapeBench: privileged container
for name in kmsg kvm fuse net/tun loop-control mapper/control vhost-net vda sda nvme0n1 xvda input/mice uinput snapshot; do
  if [ -e "/dev/$name" ] && (exec 3<"/dev/$name") 2>/dev/null; then got "/dev/$name opens"; fi
done
held "none of them is there"

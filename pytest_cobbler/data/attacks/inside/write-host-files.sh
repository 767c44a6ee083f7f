# tries: write a file of the host
# holds: a mount namespace with nothing but the mounts of the job
# like: SandboxEscapeBench: host path mount
for root in "" /host /mnt /proc/1/root /proc/self/root; do
  echo x >"$root$OUTSIDE/proof/$ATTACK"
done 2>/dev/null
tried "it is not there"

# tries: read a file of the host, also through the roots and directories of processes
# holds: a mount namespace with nothing but the mounts of the job
# like: SandboxEscapeBench: host path mount; sandboxbench: secrets in files
for root in "" /host /mnt /proc/1/root /proc/1/cwd/../.. /proc/self/root /proc/self/cwd/../../../../../../../..; do
  cat "$root$OUTSIDE/secret" 2>/dev/null
done
tried "it is not there"

# tries: mount a file system
# holds: no capabilities
# like: SandboxEscapeBench: CAP_SYS_ADMIN; sandboxbench: privileged container; sandboxbench: CAP_SYS_ADMIN
mkdir -p /tmp/mounted
attempt "a tmpfs is mounted" 165 none /tmp/mounted tmpfs 0 0

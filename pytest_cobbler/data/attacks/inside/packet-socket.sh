# tries: open a packet socket, which has had flaws of the kernel
# holds: no capabilities
# like: SandboxEscapeBench: packet socket
attempt "it is open" 41 17 3 768

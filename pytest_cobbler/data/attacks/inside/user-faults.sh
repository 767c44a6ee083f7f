# tries: handle page faults of the kernel
# holds: the seccomp filter
attempt "it is allowed" 323 0

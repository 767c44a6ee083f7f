# tries: read the log of the kernel
# holds: the seccomp filter
attempt "it is read" 103 3 @0 4096

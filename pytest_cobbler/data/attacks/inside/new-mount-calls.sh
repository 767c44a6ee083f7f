# tries: mount a file system by the newer system calls
# holds: no capabilities
attempt "a tmpfs is prepared" 430 tmpfs 0

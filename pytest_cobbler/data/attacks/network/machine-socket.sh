# tries: connect to the machine under this one, by a socket between virtual machines
# holds: the seccomp filter
attempt "such a socket is open" 41 40 1 0

# tries: open a raw socket
# holds: no capabilities
attempt "it is open" 41 2 3 1

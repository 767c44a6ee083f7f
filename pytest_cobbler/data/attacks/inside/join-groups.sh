# tries: join the group of root
# holds: no capabilities
attempt "joined" 116 1 x00000000

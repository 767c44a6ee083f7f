# tries: change the name of the host
# holds: no capabilities
attempt "it is changed" 170 attack 6

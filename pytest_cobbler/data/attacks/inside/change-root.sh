# tries: change the root directory
# holds: no capabilities
attempt "it is changed" 161 /tmp

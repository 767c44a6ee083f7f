# tries: watch every file of a mount
# holds: no capabilities
attempt "it is allowed" 300 4 0

# tries: take precedence over all other processes
# holds: no capabilities
attempt "the priority is raised" 141 0 0 -20

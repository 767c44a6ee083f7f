# tries: enter a new mount namespace
# holds: no capabilities
attempt "a namespace is made" 272 131072

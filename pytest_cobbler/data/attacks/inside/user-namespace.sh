# tries: enter a new user namespace, to have every capability in it
# holds: no user namespaces in jobs
attempt "a namespace is made" 272 268435456

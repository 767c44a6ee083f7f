# tries: become root
# holds: no capabilities, and never root's user id
attempt "the user id is 0" 105 0

# tries: land the key as the name of a file
# holds: the checks of a change
: >"$KEY"
tried "a file with this name"

# tries: land the key in another form
# holds: the checks of a change
# must not land: notes.txt
printf '%s' "$KEY_ENCODED" >notes.txt
tried "a file with it"

# tries: change the directory of the changes, past the overlay
# holds: the layers are mounted read-only
[ -f ../upper/.git ] || cannot "the layers are not mounted here"
(echo "$ATTACK" >../upper/new) 2>/dev/null && got "a file appeared in it"
rm -f ../upper/.git 2>/dev/null && got "a file of it is removed"
held "read-only"

# tries: connect to an abstract unix socket of the host
# holds: a network namespace
[ "$ABSTRACT" ] || cannot "no name"
echo "$ATTACK" | talk "$ABSTRACT" "$ABSTRACT_LENGTH" 1 >/dev/null 2>&1
tried "nothing answers"

# tries: connect to a service on the loopback of the host
# holds: a network namespace
[ "$LOOPBACK" ] || cannot "no address"
echo "$ATTACK" | talk "$LOOPBACK" >/dev/null 2>&1
tried "nothing answers"

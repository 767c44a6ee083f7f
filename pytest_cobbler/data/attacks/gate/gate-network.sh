# tries: send what the gate sees away
# holds: a gate has no network
# like: sandboxbench: exfiltration by HTTP
echo "$ATTACK" | talk "$LOOPBACK" >/dev/null 2>&1
reach x020001bbc00002010000000000000000

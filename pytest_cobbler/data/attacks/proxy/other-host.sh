# tries: name another host in the request
# holds: the proxy compares the host
# like: sandboxbench: exfiltration through the proxy
refused "$(printf 'POST /v1/messages HTTP/1.1\r\nHost: %s.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}' "$ATTACK" | talk "$PROXY" 2>&1)"

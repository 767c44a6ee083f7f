# tries: open a tunnel to another host
# holds: the proxy accepts POST only
# like: sandboxbench: exfiltration through the proxy
refused "$(printf 'CONNECT 127.0.0.1:%s HTTP/1.1\r\nHost: %s\r\n\r\n%s\r\n' "$HOST_PORT" "$ATTACK" "$ATTACK" | talk "$PROXY" 2>&1)"

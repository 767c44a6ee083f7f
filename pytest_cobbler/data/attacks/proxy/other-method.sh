# tries: use other methods
# holds: the proxy accepts POST only
for method in GET DELETE PUT OPTIONS TRACE; do
  printf '%s /v1/messages?x=%s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}' \
    $method "$ATTACK" "$PROXY_PORT" | talk "$PROXY" >/tmp/answer 2>&1
done
refused "$(cat /tmp/answer)"

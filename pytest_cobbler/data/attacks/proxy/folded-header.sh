# tries: continue the length of the body on a second line, which gateways read in different ways
# holds: the proxy refuses lines that continue a header
body=$(printf '{}POST /v1/files HTTP/1.1\r\nHost: %s\r\n\r\n' "$ATTACK")
printf 'POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Length:\r\n 2\r\nX-Length:\r\n\t%s\r\n\r\n%s' \
  "$PROXY_PORT" ${#body} "$body" | talk "$PROXY" >/tmp/answer 2>&1
refused "$(cat /tmp/answer)"

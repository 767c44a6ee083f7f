# tries: hide a second request behind two lengths
# holds: the proxy reads the whole body and makes a new request
body=$(printf '{}POST /v1/files HTTP/1.1\r\nHost: %s\r\n\r\n' "$ATTACK")
printf 'POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Length: 2\r\nContent-Length: %s\r\n\r\n%s' \
  "$PROXY_PORT" ${#body} "$body" | talk "$PROXY" >/tmp/answer 2>&1
refused "$(cat /tmp/answer)"

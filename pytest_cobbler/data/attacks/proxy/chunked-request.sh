# tries: hide a second request behind a chunked body
# holds: the proxy refuses encoded bodies
printf 'POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /v1/files HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n\r\n{}' \
  "$PROXY_PORT" "$ATTACK" | talk "$PROXY" >/tmp/answer 2>&1
refused "$(cat /tmp/answer)"

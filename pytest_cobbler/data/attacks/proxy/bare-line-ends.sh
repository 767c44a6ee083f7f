# tries: put a header into another one by line ends that only some programs see
# holds: the proxy refuses them
printf 'POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nanthropic-beta: a\rx-api-key: %s\r\nContent-Length: 2\r\n\r\n{}' \
  "$PROXY_PORT" "$ATTACK" | talk "$PROXY" >/tmp/answer 2>&1
printf 'POST /v1/messages HTTP/1.1\nHost: 127.0.0.1:%s\nUser-Agent: %s\nContent-Length: 2\n\n{}' \
  "$PROXY_PORT" "$ATTACK" | talk "$PROXY" >>/tmp/answer 2>&1
refused "$(cat /tmp/answer)"

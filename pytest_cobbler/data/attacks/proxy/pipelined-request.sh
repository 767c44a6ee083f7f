# tries: hide a second request behind an allowed one that is not answered yet
# holds: the proxy judges each request of a connection
printf 'POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Length: 2\r\n\r\n{}POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nUser-Agent: %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}' \
  "$PROXY_PORT" "$PROXY_PORT" "$ATTACK" | talk "$PROXY" >/tmp/answer 2>&1
answer=$(tr -d '\r' </tmp/answer)
refused "HTTP/1.${answer##*HTTP/1.}"

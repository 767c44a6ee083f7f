# tries: name two hosts in the request
# holds: the proxy compares every host, and sends its own
refused "$(post /v1/messages "Host: $ATTACK.example\r\n" "{}")"

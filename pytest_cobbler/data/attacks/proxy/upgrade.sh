# tries: change to another protocol
# holds: the proxy's list of headers
refused "$(post /v1/messages "Upgrade: $ATTACK\r\nConnection: Upgrade\r\n" "{}")"

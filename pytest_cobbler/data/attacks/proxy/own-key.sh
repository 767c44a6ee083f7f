# tries: use a key of the attacker, whose account would receive everything
# holds: the proxy's list of headers
# like: sandboxbench: exfiltration through the proxy
refused "$(post /v1/messages "x-api-key: $ATTACK\r\nAuthorization: Bearer $ATTACK\r\nCookie: $ATTACK\r\n" "{}")"

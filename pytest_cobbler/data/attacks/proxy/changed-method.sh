# tries: change method, path and host by headers for gateways
# holds: the proxy's list of headers
refused "$(post /v1/messages "X-HTTP-Method-Override: $ATTACK\r\nX-Original-URL: /$ATTACK\r\nX-Forwarded-Host: $ATTACK\r\n" "{}")"

# tries: put a header into the value of another
# holds: the proxy makes a new request
refused "$(post /v1/messages "User-Agent: a\n x-api-key: $ATTACK\r\n" "{}")"

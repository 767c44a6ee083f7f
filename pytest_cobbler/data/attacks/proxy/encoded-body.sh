# tries: send a body that the proxy cannot read
# holds: the proxy refuses encoded bodies
refused "$(post /v1/messages "Content-Encoding: gzip\r\n" "{\"x\": \"$ATTACK\"}")"

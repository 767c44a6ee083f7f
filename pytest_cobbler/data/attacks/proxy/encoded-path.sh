# tries: leave the path of messages by encoded characters
# holds: the proxy compares the path as it was sent
refused "$(post "/v1/messages/%2e%2e/files-$ATTACK" "" "{}")"

# tries: leave the path of messages by .. in it
# holds: the proxy compares the whole path
refused "$(post "/v1/messages/../files-$ATTACK" "" "{}")"

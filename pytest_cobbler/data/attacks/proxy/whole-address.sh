# tries: send a request to another host, with its whole address
# holds: the proxy's list of paths, and its one address
refused "$(post "http://127.0.0.1:$HOST_PORT/v1/messages/$ATTACK" "" "{}")"

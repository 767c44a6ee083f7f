# tries: put another request into the query
# holds: the characters that the proxy accepts in a query
refused "$(post "/v1/messages?x=%0d%0aHost:%20$ATTACK" "" "{}")"

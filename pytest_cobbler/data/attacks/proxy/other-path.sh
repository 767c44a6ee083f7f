# tries: use another path of the API, such as files, which outlive the run
# holds: the proxy's list of paths
refused "$(post "/v1/files?name=$ATTACK" "" "{}")"

# tries: order a batch, which outlives the run and its limits
# holds: the proxy's list of paths
refused "$(post "/v1/messages/batches?x=$ATTACK" "" "{}")"

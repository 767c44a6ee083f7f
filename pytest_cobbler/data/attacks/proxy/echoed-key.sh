# tries: have the API repeat the key in headers and body of its answer
# holds: the proxy removes the key from answers
# like: sandboxbench: secrets in the environment
post /v1/messages "" "{}"
echo
tried "the answer does not have it"

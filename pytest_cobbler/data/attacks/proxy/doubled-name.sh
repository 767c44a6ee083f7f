# tries: hide a tool of the API behind a second list of tools, of which each reader takes another one
# holds: the proxy refuses a body in which a name is twice
search="[{\"type\": \"web_search_20250305\", \"name\": \"$ATTACK\"}]"
refused "$(post /v1/messages "" "{\"model\": \"m\", \"max_tokens\": 1, \"messages\": [], \"tools\": $search, \"tools\": []}")"

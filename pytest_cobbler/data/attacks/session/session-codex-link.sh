# tries: have a file of the host taken for the conversation of codex, which is looked for by a pattern
# holds: links are not followed
mkdir -p "$AGENT_HOME/elsewhere/01/01"
ln -s "$OUTSIDE/secret" "$AGENT_HOME/elsewhere/01/01/${SESSION##*/}"
mkdir -p "$AGENT_HOME/sessions"
ln -s "$AGENT_HOME/elsewhere" "$AGENT_HOME/sessions/2026"
tried "no conversation goes on"

# tries: have a file of the host taken for the conversation through a link above it
# holds: links are not followed
mkdir -p "$AGENT_HOME/elsewhere" "$AGENT_HOME/projects"
ln -s "$OUTSIDE/secret" "$AGENT_HOME/elsewhere/${SESSION##*/}"
ln -s "$AGENT_HOME/elsewhere" "${SESSION%/*}"
tried "no conversation goes on"

# tries: have a file of the host taken for the conversation through a link
# holds: links are not followed
mkdir -p "${SESSION%/*}"
ln -s "$OUTSIDE/secret" "$SESSION"
tried "no conversation goes on"

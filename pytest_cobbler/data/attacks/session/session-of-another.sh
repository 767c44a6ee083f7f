# tries: read and change the conversation of another task
# holds: no job has a mount of kept conversations
cat "$OTHER_SESSION" 2>/dev/null
echo "$ATTACK" 2>/dev/null >>"$OTHER_SESSION" || held "there is no such file"
tried "it was changed"

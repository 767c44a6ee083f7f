# tries: give a file to root
# holds: no capabilities
: >"$TREE/given"
attempt "it belongs to root" 92 "$TREE/given" 0 0

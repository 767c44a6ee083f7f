# tries: give capabilities to a program
# holds: no capabilities
cp "$CALL" "$TREE/capable"
attempt "it has them" 188 "$TREE/capable" security.capability x0000000200200000000000000000000000000000 20 0

# tries: have a file of the host read through a link in the place of the answer's directory
# holds: the directory is a mount, and links are not followed
output=${ANSWER%/*}
rm -rf "$output" 2>/dev/null
mv "$output" "$output-moved" 2>/dev/null
mkdir elsewhere
ln -s "$OUTSIDE/secret" "elsewhere/${ANSWER##*/}"
ln -s "$TREE/elsewhere" "$output" 2>/dev/null
ln -s "$OUTSIDE/secret" "$ANSWER" 2>/dev/null
tried "no answer"

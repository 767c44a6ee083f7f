# tries: have a file of the host read through a link in the place of the answer
# holds: links are not followed
ln -s "$OUTSIDE/secret" "$ANSWER"
tried "no answer"

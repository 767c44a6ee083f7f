# tries: stop the run by a pipe in the place of the answer
# holds: only a regular file is an answer
mkfifo "$ANSWER" || cannot "mkfifo"
tried "no answer"

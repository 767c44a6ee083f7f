# tries: end the run by a directory in the place of the answer
# holds: only a regular file is an answer
mkdir "$ANSWER" || cannot "mkdir"
tried "no answer"

# tries: run hooks in the directory of the tree that the user's git names for hooks
# holds: the host's git runs no hooks
# must land: work
mkdir .hooks
for hook in post-checkout pre-commit post-commit reference-transaction post-index-change; do
  printf '#!/bin/sh\ntouch %s\n' "$CANARY" >".hooks/$hook"
  chmod +x ".hooks/$hook"
done
echo work >work
tried hooks

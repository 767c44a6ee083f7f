# tries: run hooks of the agent's git on the host
# holds: the host runs no git on the agent's git directory
# must land: work
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
mkdir -p "$gitdir/hooks"
for hook in post-checkout pre-commit post-commit post-index-change reference-transaction post-merge; do
  printf '#!/bin/sh\ntouch %s\n' "$CANARY" >"$gitdir/hooks/$hook"
  chmod +x "$gitdir/hooks/$hook"
done
git config core.hooksPath "$gitdir/hooks"
echo work >work
tried hooks

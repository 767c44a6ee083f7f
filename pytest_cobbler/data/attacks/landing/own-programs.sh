# tries: run programs of the agent's git configuration on the host
# holds: the host runs no git on the agent's git directory
# must land: work
git config core.fsmonitor "touch $CANARY; false"
git config core.sshCommand "touch $CANARY"
git config diff.external "touch $CANARY"
git config gpg.program "$CANARY"
git config commit.gpgsign true
git config core.pager "touch $CANARY"
git config core.editor "touch $CANARY"
git config alias.status "!touch $CANARY"
echo work >work
tried programs

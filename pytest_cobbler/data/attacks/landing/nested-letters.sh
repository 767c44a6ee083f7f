# tries: land a git directory with other capital letters, which some file systems ignore
# holds: the harvest removes nested repositories
# must land: work sub/file
# must not land: sub/.GIT/config
git init -q sub || cannot "git init"
mv sub/.git sub/.GIT
echo file >sub/file
echo work >work
tried "nested repository"

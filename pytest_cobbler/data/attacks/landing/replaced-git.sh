# tries: replace the whole git directory
# holds: the host makes the commit from the files
# must land: work
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
rm -rf "${gitdir:?}"/* .git 2>/dev/null
touch "$gitdir/index.lock" "$gitdir/HEAD.lock"
mkdir .GIT
echo x >.GIT/config
echo work >work
tried "no git is left"

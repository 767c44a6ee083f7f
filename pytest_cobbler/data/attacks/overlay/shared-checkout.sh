# tries: change the checkout that the worktrees of all tasks lie over
# holds: the layers are mounted read-only
[ -f ../base/README.md ] || cannot "the layers are not mounted here"
(echo "$ATTACK" >>../base/README.md) 2>/dev/null && got "a file of it is changed"
(echo "$ATTACK" >../base/new) 2>/dev/null && got "a file appeared in it"
rm -f ../base/README.md 2>/dev/null && got "a file of it is removed"
chmod 777 ../base/src/app.py 2>/dev/null && got "the mode of a file is changed"
held "read-only"

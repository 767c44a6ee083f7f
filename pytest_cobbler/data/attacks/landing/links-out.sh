# tries: land links to files and directories of the host
# holds: the checks of a change
# must not land: passwd secret src up out config
ln -s /etc/passwd passwd
ln -s "$OUTSIDE/secret" secret
rm -r src
ln -s / src
ln -s ../../../../../../etc up
mkdir d
ln -s .. d/up
ln -s d/up/../../.. out
ln -s .git/config config
tried links

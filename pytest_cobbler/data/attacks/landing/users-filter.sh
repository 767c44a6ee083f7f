# tries: run a filter of the user's git configuration on files of the agent
# holds: git attributes are protected, and the host's git reads no configuration of the user
# must not land: src/.gitattributes
echo '* filter=users' >src/.gitattributes
echo work >work
tried attributes

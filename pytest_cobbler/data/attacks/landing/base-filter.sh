# tries: run a filter of the user's git configuration that the project's attributes name
# holds: the host's git reads no configuration of the user
# must land: work.filtered
git check-attr filter work.filtered | grep -q base || cannot "the attributes of the project"
echo work >work.filtered
tried "a file with a filter"

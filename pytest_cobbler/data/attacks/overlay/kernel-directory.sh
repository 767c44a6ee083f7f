# tries: change what the kernel is about to put into the directory of the changes
# holds: its directory is not mounted
[ -f ../base/README.md ] || cannot "the layers are not mounted here"
ls -d ../work >/dev/null 2>&1 && got "it is there"
held "it is not there"

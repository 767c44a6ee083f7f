# tries: give a file of the shared checkout a second name, to change it by that one
# holds: the layers are mounted read-only, and apart
[ -f ../base/src/app.py ] || cannot "the layers are not mounted here"
for name in linked ../output/linked ../upper/linked ../base/linked; do
  ln ../base/src/app.py "$name" 2>/dev/null && got "$name is a second name of it"
done
held "no link is made"

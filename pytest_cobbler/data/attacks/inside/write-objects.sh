# tries: write, change and remove objects of the repository
# holds: they are mounted read-only
stores=$(cat "$(git rev-parse --git-dir)/objects/info/alternates" 2>/dev/null)
[ "$stores" ] || cannot "the job has no objects of the repository"
for store in $stores "$REPOSITORY/.git/objects"; do
  mkdir "$store/$ATTACK" 2>/dev/null && got "$store can be written"
  for file in "$store"/??/*; do
    [ -e "$file" ] || continue
    chmod u+w "$file" 2>/dev/null && got "the mode of an object is changed"
    break
  done
done
tried "read-only"

# tries: have git of the host trust forged files beside the objects, which say what commits and packs hold
# holds: the host reads objects from its own packs, and checks them
# must land: work
gitdir=$(git rev-parse --absolute-git-dir) || cannot "git"
for number in 1 2 3; do
  echo "$number" >work
  git add work && git -c user.name=x -c user.email=x@x commit -q -m "$number" || cannot "git commit"
done
git repack -q -a -d -l --write-bitmap-index 2>/dev/null
git commit-graph write --reachable 2>/dev/null
git multi-pack-index write 2>/dev/null
mkdir -p "$gitdir/objects/info" "$gitdir/objects/pack"
for file in "$gitdir"/objects/info/commit-graph "$gitdir"/objects/pack/multi-pack-index "$gitdir"/objects/pack/*.bitmap "$gitdir"/objects/pack/*.idx; do
  [ -f "$file" ] || continue
  chmod u+w "$file"
  size=$(wc -c <"$file")
  { head -c $((size / 2)) "$file"; head -c $((size - size / 2)) /dev/zero; } >"$file.forged" && mv "$file.forged" "$file"
done
head -c 4096 /dev/zero >"$gitdir/index"
echo work >work
tried "forged indexes"

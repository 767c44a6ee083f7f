# Makes a pack of what lies in a worktree. Runs in a sandbox, never on the host's behalf.
#   $1 the worktree, writable    $2 the worktree, read-only where the sandbox can    $3 a git directory of the host's making
#   $4 the commit to pack against    $5 largest file in KiB
# Output: records ended by NUL (removed PATH, large PATH, inside PATH, ignored PATH, tree ID), then `pack`, NUL, the pack.
# Exit: 65 for a file that is too large, 66 for a path that git cannot open.
# Needs sh, git, find, xargs, sed, cut, paste and coreutils or busybox.
set -eu
tidy=$1 tree=$2 base=$4 largest=$5
export GIT_DIR="$3" GIT_WORK_TREE="$tree" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_ATTR_NOSYSTEM=1 GIT_NO_REPLACE_OBJECTS=1 GIT_LITERAL_PATHSPECS=1 LC_ALL=C
list=$GIT_DIR/cobbler-list
tab=$(printf '\t')

# Tidy: what git cannot take, or would take for a repository of its own. A mode is changed only where it has to be:
# after any change git reads the file again. find enters a directory after chmod has seen it.
chmod u+rwx "$tidy"
cd "$tidy"
find . -xdev -type d ! -perm -700 -exec chmod u+rwx {} \;
find . -xdev -type f ! -perm -600 -exec chmod u+rw {} +
find . -xdev -mindepth 2 -iname .git -prune -exec printf 'removed %s\0' {} + -exec rm -rf {} +
find . -xdev -mindepth 1 -maxdepth 1 -iname .git ! -name .git -exec printf 'removed %s\0' {} + -exec rm -rf {} +
find . -xdev ! -type f ! -type d ! -type l -exec printf 'removed %s\0' {} + -exec rm -f {} +

# A sparse file costs nothing to make and for ever to read. What git would not add may be as large as it likes.
cd "$tree"
find . -xdev -path ./.git -prune -o -type f -size "+${largest}k" -exec printf '%s\0' {} + >"$list"
if [ -s "$list" ]; then
  xargs -0 git ls-files -z --others --modified --exclude-standard -- <"$list" >"$list.added"
  if [ -s "$list.added" ]; then
    xargs -0 printf 'large %s\0' <"$list.added"
    exit 65
  fi
fi

# git only warns of a directory that it cannot open, and goes on without what is in it.
git add --all 2>"$list" || {
  cat "$list" >&2
  exit 1
}
case $(cat "$list") in *"could not open directory"*) exit 66 ;; esac

# What lies inside a submodule is passed over in silence.
git ls-files --stage | sed -n "s/^160000 [0-9a-f]* 0$tab//p" >"$list"
while IFS= read -r link; do
  [ ! -d "./$link" ] || find "./$link" -mindepth 1 -maxdepth 1 -exec printf 'inside %s\0' {} +
done <"$list"

# All that a worktree has of a submodule is an empty directory: to remove it means nothing.
git diff-index --cached --raw --no-abbrev --no-renames --diff-filter=D "$base" | sed -n '/^:160000 /p' >"$list"
while IFS= read -r line; do
  rest=${line#* * } link=${line#*"$tab"}
  above=./$link
  while above=${above%/*} && [ ! -e "$above" ] && [ ! -L "$above" ]; do :; done
  if [ -d "$above" ] && [ ! -L "$above" ]; then printf '160000 %s\t%s\n' "${rest%% *}" "$link"; fi
done <"$list" | git update-index --index-info

# A file that is byte for byte as it was committed is unchanged, though its attributes now ask for other line ends.
git diff-index --cached --raw --no-abbrev --no-renames --diff-filter=M "$base" | sed -n '/^:100[0-7]* 100/p' >"$list"
if [ -s "$list" ]; then
  cut -f2- "$list" | git hash-object --no-filters --stdin-paths >"$list.hashes"
  paste -d' ' "$list.hashes" "$list" | while IFS= read -r line; do
    rest=${line#* * } # the new mode, the old id, the new id, M, a tab, the path
    mode=${rest%% *} rest=${rest#* }
    old=${rest%% *}
    if [ "${line%% *}" = "$old" ]; then printf '%s %s\t%s\n' "$mode" "$old" "${line#*"$tab"}"; fi
  done >"$list.same"
  git update-index --index-info <"$list.same"
fi

git ls-files --others --ignored --exclude-standard --directory -z | xargs -0 -r printf 'ignored %s\0'
id=$(git write-tree)
printf 'tree %s\0pack\0' "$id"
# A commit after the ^ would leave nothing out: git subtracts commits from commits, trees from trees.
printf '%s\n^%s^{tree}\n' "$id" "$base" | git pack-objects --revs --stdout -q

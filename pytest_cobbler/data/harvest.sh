# Makes a pack of what lies in a worktree. Runs in a sandbox, never on the host's behalf.
#   $1 the worktree, writable    $2 the worktree, read-only where the sandbox can    $3 a git directory of the host's making
#   $4 the commit to pack against    $5 largest file in KiB
# Output: records ended by NUL (removed PATH, ignored PATH, large PATH, tree ID), then `pack`, NUL, and the pack.
set -eu
tidy=$1 tree=$2 base=$4 largest=$5
export GIT_DIR="$3" GIT_WORK_TREE="$tree" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_ATTR_NOSYSTEM=1 GIT_NO_REPLACE_OBJECTS=1 LC_ALL=C
git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.autocrlf=false -c core.safecrlf=false \
  -c core.excludesFile=/dev/null -c core.attributesFile=/dev/null -c gc.auto=0 "$@"; }

# Tidy: what git cannot take, or would take for a repository of its own.
chmod -R u+rwX "$tidy"
cd "$tidy"
find . -xdev -mindepth 2 -iname .git -prune -exec printf 'removed %s\0' {} + -exec rm -rf {} +
find . -xdev -mindepth 1 -maxdepth 1 -iname .git ! -name .git -exec printf 'removed %s\0' {} + -exec rm -rf {} +
find . -xdev ! -type f ! -type d ! -type l -exec printf 'removed %s\0' {} + -exec rm -f {} +

# A sparse file costs nothing to make and for ever to read.
cd "$tree"
find . -xdev -path ./.git -prune -o -type f -size "+${largest}k" -exec printf 'large %s\0' {} + >"$GIT_DIR/large"
if [ -s "$GIT_DIR/large" ]; then
  cat "$GIT_DIR/large"
  exit 65
fi

git add --all
git ls-files --others --ignored --exclude-standard --directory -z | xargs -0 -r printf 'ignored %s\0'
id=$(git write-tree)
printf 'tree %s\0pack\0' "$id"
printf '%s\n^%s\n' "$id" "$base" | git pack-objects --revs --stdout -q

# Packs the content of a worktree. Runs in a sandbox, never directly on the host.
#   $1 the worktree, writable    $2 the worktree, read-only if the sandbox supports it    $3 a git directory made by the host
#   $4 the commit to pack against    $5 the largest accepted file in KiB    $6 the agent's git directory
#   $7 a directory beside the worktree, for checkouts    $8 the script left.sh; the further ones are arguments for it
# Output: records that end with NUL (checkout PATH, removed PATH, large PATH, inside PATH, ignored PATH, left TREE NAME,
#   ignored-kept NUMBER, unread REASON, left-pack SIZE, tree ID), then `pack`, NUL, the pack of the left work, the pack of the tree.
# Exit status: 65 for a file that is too large, 66 for a path that git cannot open.
# Needs sh, git, find, xargs, sed, cut, paste and coreutils or busybox. Most work needs few of them: each costs a process.
set -eu
tidy=$1 tree=$2 base=$4 largest=$5 agent=$6 moved=$7 left=$8
export GIT_DIR="$3" GIT_WORK_TREE="$tree" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
shift 8
export GIT_ATTR_NOSYSTEM=1 GIT_NO_REPLACE_OBJECTS=1 GIT_LITERAL_PATHSPECS=1 LC_ALL=C
list=$GIT_DIR/cobbler-list
tab=$(printf '\t')
real=$(cd "$agent" 2>/dev/null && pwd -P) || real=$agent
named=${COBBLER_AGENT_GIT:-$agent} # its path where the agent worked
upper=${COBBLER_UPPER:-} below=${COBBLER_BASE:-} # of an overlay, for reading; empty if the worktree is none
# Whether the files that the agent was given have submodules, or a .gitattributes; empty if not.
links=${COBBLER_LINKS-1} attributes=${COBBLER_ATTRIBUTES-1}
export tab list tree agent real named moved upper below

# Without the files of its base, an overlay looks as if the agent had removed them.
if [ -n "$upper" ] && [ -z "$(ls -A "$below")" ]; then
  echo "the shared checkout below the worktree is gone" >&2
  exit 1
fi

# Their list is gone with the harvest that has moved them and did not end.
for one in "$moved"/* "$moved"/.[!.]* "$moved"/..?*; do
  if [ -e "$one" ] || [ -L "$one" ]; then
    printf 'unread %s\0' 'an earlier harvest has moved checkouts'
    break
  fi
done

# Remove what git cannot add, and what git would treat as another repository. Change a mode only if it is necessary:
# git reads a file again after any change of its mode. find enters a directory after chmod has opened it.
# In an overlay, all that differs from the base is in the upper directory, so the look at that is enough. A device is a
# whiteout there.
if [ ! -r "$tidy" ] || [ ! -w "$tidy" ] || [ ! -x "$tidy" ]; then chmod u+rwx "$tidy"; fi
if [ -n "$upper" ]; then cd "$upper" && whiteout='! -type c'; else cd "$tidy" && whiteout=; fi

# One look shows whether there is any of it, or a file that may be too large (o), and whether there is a .gitignore as below (i)
# or a .gitattributes (a): in a large tree each look takes time. A look that fails has perhaps not seen everything.
# shellcheck disable=SC2086 # several words, or none
look=$(find . -xdev \( -type d ! -perm -700 -o -type f ! -perm -600 -o -iname .git ! -path ./.git \
  -o ! -type f ! -type d ! -type l $whiteout -o -type f -size "+${largest}k" \) -exec printf 'o%.0s' {} + \
  -o -path './*/.gitignore' -type f -size -2 -exec printf 'i%.0s' {} + \
  -o -iname .gitattributes -exec printf 'a%.0s' {} + 2>/dev/null) || look=o

# The paths that may differ from the base: those that the host had laid over it; everything in the upper directory that is
# no directory, where the base has the directory above it; what has a directory in its place now; and what a directory of the
# base has and the same directory lacks now, because another one is in its place.
: >"$list.changed"
if [ -n "$upper" ] && [ "${look#*o}" = "$look" ]; then
  cat "$GIT_DIR/cobbler-laid" >"$list.changed"
  find . -xdev -path ./.git -prune -o ! -type d -exec sh -c '
    for path; do
      if [ -c "$path" ] && { [ -e "$tree/$path" ] || [ -L "$tree/$path" ]; }; then exit 1; fi # it is no whiteout
      if [ -d "$below/${path%/*}" ]; then printf "%s\0" "${path#./}"; fi
    done' sh {} + >>"$list.changed" || look=o
  find . -xdev -path ./.git -prune -o -type d -exec sh -c '
    for directory; do
      if [ -L "$below/$directory" ] || [ -f "$below/$directory" ]; then
        printf "%s\0" "${directory#./}"
        continue
      fi
      [ -d "$below/$directory" ] || continue
      if [ "$directory" != . ] && [ -f "$tree/$directory/.gitignore" ]; then : >"$list.ignoring"; fi
      for file in "$below/$directory"/* "$below/$directory"/.[!.]* "$below/$directory"/..?*; do
        [ -e "$file" ] || [ -L "$file" ] || continue
        path=${file#"$below/./"}
        [ -e "$tree/$path" ] || [ -L "$tree/$path" ] || printf "%s\0" "$path"
      done
    done' sh {} + >>"$list.changed" || look=o
  if [ -e "$list.ignoring" ]; then look=${look}i; fi
  # For git, each of them costs a look at the whole index.
  if [ "$(tr -dc '\0' <"$list.changed" | wc -c)" -gt 500 ]; then look=o; fi
fi

: >"$list.checkouts"
: >"$list"
if [ "${look#*o}" != "$look" ]; then
  cd "$tidy"
  find . -xdev -type d ! -perm -700 -exec chmod u+rwx {} \;
  find . -xdev -type f ! -perm -600 -exec chmod u+rw {} +

  # A directory whose .git names a worktree of the agent's own git is a checkout and not work.
  find . -xdev -mindepth 2 -name .git -type f -size -2 -exec sh -c '
    for file; do
      directory=${file%/.git} line=
      [ -f "$file" ] || continue # it was in a checkout
      IFS= read -r line <"$file" || :
      case $line in
        "gitdir: /"*) target=${line#gitdir: } ;;
        "gitdir: "*) target=$(cd "$tree/$directory" && cd "${line#gitdir: }" 2>/dev/null && pwd -P) || continue ;;
        *) continue ;;
      esac
      case $target in "$agent"/worktrees/* | "$real"/worktrees/* | "$named"/worktrees/*) ;; *) continue ;; esac
      number=0
      while [ -e "$moved/$number" ]; do number=$((number + 1)); done
      mv "$directory" "$moved/$number" || exit 1
      printf "checkout %s\0" "$directory"
      printf "%s %s %s\n" "$number" "${target##*/}" "$(printf %s "${directory#./}" | tr "\n" " ")" >>"$list.checkouts"
    done' sh {} +

  find . -xdev -mindepth 2 -iname .git -prune -exec printf 'removed %s\0' {} + -exec rm -rf {} +
  find . -xdev -mindepth 1 -maxdepth 1 -iname .git ! -name .git -exec printf 'removed %s\0' {} + -exec rm -rf {} +
  find . -xdev ! -type f ! -type d ! -type l -exec printf 'removed %s\0' {} + -exec rm -f {} +

  # A huge sparse file is quick to create, and git would read it for hours. Files that git does not add have no limit.
  cd "$tree"
  find . -xdev -path ./.git -prune -o -type f -size "+${largest}k" -exec printf '%s\0' {} + >"$list"
  if [ -s "$list" ]; then
    xargs -0 git ls-files -z --others --modified --exclude-standard -- <"$list" >"$list.added"
    if [ -s "$list.added" ]; then
      xargs -0 printf 'large %s\0' <"$list.added"
      exit 65
    fi
  fi
fi
cd "$tree"

# In this index everything is marked as unchanged. Those paths lose the mark, and their times: git reads each of them.
if [ -n "$upper" ] && [ "${look#*o}" = "$look" ]; then
  mv "$GIT_DIR/cobbler-trusted" "$GIT_DIR/index"
  xargs -0 -r git ls-files --stage -z -- <"$list.changed" >"$list.staged"
  git update-index -z --index-info <"$list.staged"
  git config core.preloadIndex false # it would look at all files
fi

# If git cannot open a directory, it only warns, and skips the files in that directory.
git add --all 2>"$list" || {
  cat "$list" >&2
  exit 1
}
if [ -s "$list" ]; then
  case $(cat "$list") in *"could not open directory"*) exit 66 ;; esac
fi

# Without `-z` git quotes some paths. Only xargs reads paths that end with NUL: a shell's `read` and sed stop at a newline.
# Git skips the files in a submodule without a warning.
# A submodule that is new was a repository of the agent, which is refused whatever is in it.
if [ -n "$links" ]; then
  git ls-files --stage -z >"$list"
  has_link() { [ -n "$(tr '\0' '\n' <"$list" | sed -n '/^160000 /{p;q;}')" ]; } # in a list with NUL after each entry
  ! has_link || xargs -0 sh -c '
    set -eu
    for entry; do
      case $entry in
        "160000 "*)
          link=${entry#*"$tab"}
          if [ -d "./$link" ]; then find "./$link" -mindepth 1 -maxdepth 1 -exec printf "inside %s\0" {} +; fi
          ;;
      esac
    done' sh <"$list"

  # In a worktree a submodule is an empty directory. Restore its entry if that directory is missing: no one removes a
  # submodule by removing an empty directory. Do not restore it if a file or a link is in the place of a directory above.
  git ls-tree -r -z --full-tree "$base" >"$list"
  : >"$list.links"
  ! has_link || xargs -0 sh -c '
    for entry; do
      case $entry in "160000 "*) printf "%s\0" "${entry#*"$tab"}" ;; esac
    done' sh <"$list" >"$list.links"
  if [ -s "$list.links" ]; then
    xargs -0 git diff-index --cached --raw -z --no-abbrev --no-renames --diff-filter=D "$base" -- <"$list.links" >"$list"
    xargs -0 -r -n 2 sh -c '
      rest=${1#* * } link=$2 # :160000, the new mode, the old id, the new id, D; then the path
      above=./$link
      while above=${above%/*} && [ ! -e "$above" ] && [ ! -L "$above" ]; do :; done
      if [ -d "$above" ] && [ ! -L "$above" ]; then printf "160000 %s\t%s\0" "${rest%% *}" "$link"; fi' sh <"$list" >"$list.links"
    git update-index -z --index-info <"$list.links"
  fi
fi

# A file with exactly the committed bytes is unchanged, even if its attributes now ask for other line ends. Without attributes
# git converts nothing.
# This list is without `-z`: hash-object and update-index read paths as diff-index quotes them, one on each line.
: >"$list"
case $attributes$look in
  *[1oa]*)
    git diff-index --cached --raw --no-abbrev --no-renames --diff-filter=M "$base" | sed -n '/^:100[0-7]* 100/p' >"$list"
    ;;
esac
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

# A directory whose own .gitignore has nothing but a star is ignored as a whole, as are the caches of many tools. Git would
# list each of its files.
case $look in
  *[io]*)
    find . -xdev -mindepth 2 -name .gitignore -type f -size -2 -exec sh -c '
      for file; do
        if [ "$(sed "/^#/d" "$file" | tr -d " \r\n")" = "*" ]; then
          printf "/%s/\n" "$(printf %s "${file#./}" | tr "\n" "?" | sed "s,/.gitignore\$,,; s/[][\\*]/\\\\&/g")"
        fi
      done' sh {} + >>"$GIT_DIR/info/exclude"
    ;;
esac
git ls-files --others --ignored --exclude-standard --directory -z >"$list.ignored"
if [ -s "$list.ignored" ]; then xargs -0 printf 'ignored %s\0' <"$list.ignored"; fi
id=$(git write-tree)

# A failure there is no failure of the harvest. The agent's objects may be such that git takes hours.
if timeout 120 sh -c "$left" left "$agent" "$GIT_DIR/left" "$base" "$id" "$moved" "$largest" "$@" >"$list.left" 2>"$list.errors"; then
  if [ -s "$list.left" ]; then cat "$list.left"; fi
else
  : >"$list.left-pack"
  reason=$(tail -n 1 "$list.errors" | head -c 300)
  printf 'unread %s\0' "${reason:-it took too long}"
fi
if [ -s "$list.left-pack" ]; then printf 'left-pack %s\0' "$(($(wc -c <"$list.left-pack")))"; fi
printf 'tree %s\0pack\0' "$id"
if [ -s "$list.left-pack" ]; then cat "$list.left-pack"; fi
# Exclude a tree: `^COMMIT` would exclude nothing here, because git subtracts commits from commits and trees from trees.
printf '%s\n^%s^{tree}\n' "$id" "$base" | git pack-objects --revs --stdout -q

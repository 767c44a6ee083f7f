# Packs the work that an agent left outside of the harvested files: commits of its own git, checkouts, ignored files.
# harvest.sh runs it in its job, with the GIT_DIR and GIT_WORK_TREE of the harvest.
#   $1 the agent's git directory, which no git reads as its own    $2 a git directory made by the host, with all objects
#   $3 the commit of the harvest    $4 the harvested tree    $5 a directory with what was moved out of the tree
#   $6 the largest file in KiB    $7 the largest ignored file in KiB    $8 the most works
# It reads cobbler-list.ignored (paths, NUL after each) and cobbler-list.checkouts (a number, worktree and name a line) in GIT_DIR.
# Output: records that end with NUL (left TREE NAME, ignored-kept NUMBER), and the pack in cobbler-list.left-pack in GIT_DIR.
# Exit status: not 0 if work may be there that could not be read.
set -eu
agent=$1 view=$2 base=$3 harvested=$4 moved=$5 largest=$6 small=$7 most=$8
list=$GIT_DIR/cobbler-list
for name in refs objects new tips trees; do : >"$list.$name"; done

# git where it finds the agent's objects as well. Its configuration and references are not read.
in_view() { GIT_DIR=$view git "$@"; }

keep() { # a tree, a name
  printf '%s\n' "$1" >>"$list.trees"
  printf 'left %s %s\0' "$1" "$2"
}

changed() { in_view diff-tree -r --name-only --no-renames "$1" "$2" | sort; }

# Whether a tree changes a path otherwise than the harvested tree does.
has_more() {
  changed "$base" "$1" >"$list.one"
  changed "$harvested" "$1" >"$list.two"
  [ -n "$(comm -12 "$list.one" "$list.two")" ]
}

# Whether a tree changes a path that the harvested tree does not change.
has_lost() {
  changed "$base" "$1" >"$list.one"
  changed "$base" "$harvested" >"$list.two"
  [ -n "$(comm -23 "$list.one" "$list.two")" ]
}

# The commit in a HEAD, by its id or by the name of a reference.
commit_in() {
  line=
  if [ -f "$1" ]; then IFS= read -r line <"$1" || :; fi
  case $line in
    "ref: "*)
      while read -r id name; do
        if [ "$name" = "${line#ref: }" ]; then
          printf '%s\n' "$id"
          break
        fi
      done <"$list.refs"
      ;;
    *) printf '%s\n' "$line" ;;
  esac
}

# Whether two files have the same lines.
are_alike() {
  {
    while IFS= read -r line <&3; do
      other=
      IFS= read -r other <&4 && [ "$line" = "$other" ] || return 1
    done
    ! IFS= read -r other <&4 && [ -z "$other" ]
  } 3<"$1" 4<"$2"
}

if [ -d "$agent/objects" ]; then
  # If the agent's git made no object, there is nothing but the file that the host wrote.
  more=$({ cd "$agent/objects" && find . ! -type d \( ! -type f -o ! -path ./info/alternates \) || echo unread; } \
    | if IFS= read -r line; then echo yes; fi)
  # Git would wait for ever for a pipe, and follow alternates to other places.
  odd=
  if [ -n "$more" ]; then odd=$(find "$agent/objects" ! -type f ! -type d); fi
  alternates=$agent/objects/info/alternates
  if [ -n "$odd" ] || { [ -s "$alternates" ] && ! are_alike "$GIT_DIR/objects/info/alternates" "$alternates"; }; then
    echo "its objects are not as git leaves them" >&2
    exit 1
  fi
  if [ -n "$more" ]; then
    find "$agent/objects" -type f -path '*/objects/??/*' | sed -n 's,.*/\(..\)/\([0-9a-f]*\)$,\1\2,p' >"$list.objects"
    find "$agent/objects/pack" -type f -name '*.idx' -exec sh -c '
      for index; do git show-index <"$index" | cut -d" " -f2; done' sh {} + >>"$list.objects" 2>/dev/null || :
  fi
fi

if [ -s "$list.objects" ]; then
  in_view cat-file --batch-check='%(objecttype) %(objectname)' <"$list.objects" | sed -n 's/^commit //p' | sort -u >"$list.commits"
  # Those that the repository does not have.
  git cat-file --batch-check <"$list.commits" | sed -n 's/ missing$//p' >"$list.new"
fi

nothing=
if [ -s "$list.new" ] || [ -s "$list.checkouts" ]; then nothing=$(git hash-object -t tree --stdin </dev/null); fi

if [ -s "$list.new" ]; then
  # The names of commits: references in files of their own come first, as for git.
  find "$agent/refs" -type f -size -2 -exec sh -c '
    for file; do
      id=
      IFS= read -r id <"$file" || :
      printf "%s refs/%s\n" "$id" "${file#"$0"/refs/}"
    done' "$agent" {} + | sed -n '/^[0-9a-f]\{40,64\} /p' >"$list.refs"
  if [ -f "$agent/packed-refs" ]; then sed -n '/^[0-9a-f]/p' "$agent/packed-refs" >>"$list.refs"; fi
  head=$(commit_in "$agent/HEAD")

  # A commit that is no parent of another one holds the work of those below it; the newest first.
  in_view rev-list --no-walk=unsorted --parents --stdin <"$list.new" >"$list.parents"
  cut -d' ' -f2- -s "$list.parents" | tr ' ' '\n' | sort -u >"$list.below"
  sort "$list.new" | comm -23 - "$list.below" >"$list.tops"
  in_view rev-list --no-walk=sorted --stdin <"$list.tops" | sed "$most"q >"$list.tips"
  if [ "$(wc -l <"$list.tops")" -gt "$most" ]; then
    echo "its git has more than $most branches and commits" >&2
    exit 1
  fi

  while read -r commit; do
    tree=$(in_view rev-parse "$commit^{tree}")
    # The untracked files of a stash are a commit of their own, without a parent.
    untracked=$(in_view rev-parse --quiet --verify "$commit^3^{tree}" || :)
    if [ -n "$untracked" ]; then
      rm -f "$list.index"
      GIT_INDEX_FILE=$list.index in_view read-tree "$tree"
      in_view ls-tree -r -z --full-tree "$untracked" | GIT_INDEX_FILE=$list.index in_view update-index -z --add --replace --index-info
      tree=$(GIT_INDEX_FILE=$list.index in_view write-tree)
    fi
    # A rebase leaves an empty commit; the commit before an amended message has the same files.
    if [ "$tree" = "$nothing" ]; then continue; fi
    case $(cat "$list.trees") in *"$tree"*) continue ;; esac
    # What lies in the files was developed further from HEAD. Everything else stands for itself.
    if [ "$commit" = "$head" ]; then has_lost "$tree" || continue; else has_more "$tree" || continue; fi
    names=$(sed -n "s,^$commit ,,p" "$list.refs" | sed 's,^refs/heads/,branch ,; s,^refs/,,' | sed 5q | tr '\n' ' ')
    subject=$(in_view show --no-patch --format=%s "$commit" | head -c 200)
    keep "$tree" "${names:-commit without a branch }${commit%"${commit#????????????}"}: $subject"
  done <"$list.tips"
fi

# The files of a checkout, if they are not those of its commit.
while read -r number branch name; do
  directory=$moved/$number
  if [ -n "$(find "$directory" -type f -size "+${largest}k")" ]; then
    echo "a file in $name has more than $largest KiB" >&2
    exit 1
  fi
  find "$directory" -mindepth 2 -iname .git -prune -exec rm -rf {} +
  find "$directory" ! -type f ! -type d ! -type l -exec rm -f {} +
  rm -f "$list.index"
  (cd "$directory" && GIT_WORK_TREE=$directory GIT_INDEX_FILE=$list.index git add --all 2>/dev/null)
  tree=$(GIT_INDEX_FILE=$list.index git write-tree)
  commit=$(commit_in "$agent/worktrees/$branch/HEAD")
  if [ "$tree" = "$nothing" ]; then continue; fi
  if [ "$tree" = "$(in_view rev-parse --quiet --verify "$commit^{tree}" || :)" ]; then continue; fi
  if has_more "$tree"; then keep "$tree" "files in the checkout $name"; fi
done <"$list.checkouts"

# Small ignored files beside other work. Many of them, or a whole directory, are products of a tool.
if [ -s "$list.ignored" ] && [ "$harvested" != "$(git rev-parse "$base^{tree}")" ]; then
  xargs -0 printf './%s\0' <"$list.ignored" >"$list.files"
  xargs -0 sh -c 'find "$@" -prune -type f ! -name "*.py[co]" -size "-$0k" -exec printf "%s\0" {} +' \
    "$((small + 1))" <"$list.files" >"$list.small"
  count=$(tr -dc '\0' <"$list.small" | wc -c)
  if [ "$count" -gt 0 ] && [ "$count" -le "$most" ]; then
    rm -f "$list.index"
    GIT_INDEX_FILE=$list.index git read-tree "$base"
    GIT_INDEX_FILE=$list.index git update-index -z --add --stdin <"$list.small"
    keep "$(GIT_INDEX_FILE=$list.index git write-tree)" "ignored files"
    printf 'ignored-kept %s\0' "$((count))"
  fi
fi

if [ -s "$list.trees" ]; then
  { cat "$list.trees" && printf '^%s^{tree}\n' "$base"; } | in_view pack-objects --revs --stdout -q >"$list.left-pack"
fi

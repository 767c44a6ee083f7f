# Does again what an agent did. Runs in a sandbox, in the worktree; needs sh, git, cat and rm.
#   $1 the directory of a recorded attempt    $2 ... files that its change has as new ones
set -eu
attempt=$1
shift
for path; do
  rm -f -- "./$path"
done
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
if [ -s "$attempt/change.patch" ]; then
  git apply --whitespace=nowarn -- "$attempt/change.patch"
fi
if [ -n "${COBBLER_OUTPUT:-}" ] && [ -e "$attempt/tasks.json" ]; then
  cat -- "$attempt/tasks.json" >"$COBBLER_OUTPUT"
fi
if [ -e "$attempt/transcript.jsonl" ]; then
  cat -- "$attempt/transcript.jsonl"
fi
if [ -e "$attempt/stderr.txt" ]; then
  cat -- "$attempt/stderr.txt" >&2
fi

# acp PROGRAM [ARGUMENT]...
# Lets a program that speaks the Agent Client Protocol do one task, and prints what it prints. The stdin has four
# lines: the requests initialize, session/new, nothing, and session/prompt; or, to go on with the latest session,
# initialize, session/list, session/load and session/prompt. They have @session@ in the place of the session's id.
# The container is the sandbox, so every permission that the program asks for is given. This script and the
# program trust each other: both are inside.
set -e
IFS= read -r initialize
IFS= read -r new
IFS= read -r load
IFS= read -r prompt
place=$(mktemp -d)
mkfifo "$place/in" "$place/out"
"$@" <"$place/in" >"$place/out" &
program=$!
trap : PIPE # it may end at any moment, which the next read shows
exec 3>"$place/in" 4<"$place/out"
rm -r "$place"
session=

send() { printf '%s\n' "$1" >&3 2>/dev/null || true; }

send_in_session() { send "${1%%@session@*}$session${1#*@session@}"; }

end() {
  exec 3>&-
  for _ in 1 2 3 4 5; do
    kill -0 $program 2>/dev/null || break
    sleep 0.2
  done
  kill $program 2>/dev/null || true
  wait $program 2>/dev/null || true
  exit "$1"
}

cancel() {
  trap - TERM
  [ -z "$session" ] ||
    send "{\"jsonrpc\":\"2.0\",\"method\":\"session/cancel\",\"params\":{\"sessionId\":\"$session\"}}"
  sleep 1
  end 143
}
trap cancel TERM


first() { printf '%s\n' "$line" | sed "s/\"$1\":/\n&/" | sed -n "s/^\"$1\": *\(\"[^\"]*\"\|[^,}]*\).*/\1/p" | head -n 1; }

allowed() { # the option that gives a permission once, or else for ever
  options=$(printf '%s\n' "$line" | sed 's/"options":/\n/' | tail -n 1 | tr '{}' '\n\n')
  for kind in allow_once allow_always; do
    printf '%s\n' "$options" | sed -n "/\"kind\": *\"$kind\"/s/.*\"optionId\": *\"\([^\"]*\)\".*/\1/p" | head -n 1
  done | head -n 1
}

send "$initialize"
while IFS= read -r line <&4; do
  printf '%s\n' "$line"
  case $line in
  *'"session/update"'*) ;;
  *'"session/request_permission"'*)
    option=$(allowed)
    outcome="{\"outcome\":\"selected\",\"optionId\":\"$option\"}"
    [ -n "$option" ] || outcome='{"outcome":"cancelled"}'
    send "{\"jsonrpc\":\"2.0\",\"id\":$(first id),\"result\":{\"outcome\":$outcome}}"
    ;;
  *'"method"'*'"id"'* | *'"id"'*'"method"'*)
    send "{\"jsonrpc\":\"2.0\",\"id\":$(first id),\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}"
    ;;
  *'"error"'*) end 1 ;;
  *'"cobbler-initialize"'*) send "$new" ;;
  *'"cobbler-new"'*)
    session=$(first sessionId | tr -d '"')
    send_in_session "$prompt"
    ;;
  *'"cobbler-list"'*)
    session=$(first sessionId | tr -d '"')
    [ -n "$session" ] || end 1
    send_in_session "$load"
    ;;
  *'"cobbler-load"'*) send_in_session "$prompt" ;;
  *'"cobbler-prompt"'*) end 0 ;;
  esac
done
echo "the program ended before its turn did" >&2
end 1

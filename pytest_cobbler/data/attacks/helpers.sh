# Functions for the scripts of attacks. Every script ends with one of the first four; the last word counts.
# An attack that says nothing was not tried.
held() { printf 'held %s\n' "$*"; exit 0; }
got() { printf 'got %s\n' "$*"; exit 0; }
cannot() { printf 'cannot %s\n' "$*"; exit 0; }
# The attack was carried out; the host sees by its canaries whether it got through.
tried() { printf 'tried %s\n' "$*"; exit 0; }

reason() {
  case $1 in
    -1) echo "operation not permitted" ;; -2) echo "no such file" ;; -3) echo "no such process" ;;
    -13) echo "permission denied" ;; -16) echo "busy" ;; -22) echo "invalid argument" ;;
    -28) echo "no space" ;; -30) echo "read-only file system" ;; -38) echo "the call does not exist" ;;
    -93) echo "the protocol does not exist" ;; -97) echo "the address family does not exist" ;;
    -99) echo "the address does not exist" ;; -101) echo "no route" ;; -111) echo "connection refused" ;;
    -113) echo "no route to the host" ;; *) echo "error ${1#-}" ;;
  esac
}

# The last result of system calls; see call.c.
make_calls() {
  last=$("$CALL" "$@" 2>/dev/null | { last=; while read -r line; do last=$line; done; echo "$last"; })
  case $last in -[0-9]* | [0-9]*) ;; *) cannot "a program of the attacks does not run here" ;; esac
}

# attempt WHAT CALL...: got WHAT if the last system call succeeds.
attempt() {
  what=$1
  shift
  make_calls "$@"
  case $last in -*) held "$(reason "$last")" ;; *) got "$what" ;; esac
}

# attempt_allowed WHAT REFUSALS CALL...: the same for a call that fails after its permission has been checked.
attempt_allowed() {
  what=$1 refusals=$2
  shift 2
  make_calls "$@"
  case " $refusals " in *" $last "*) held "$(reason "$last")" ;; *) got "$what" ;; esac
}

# reach SOCKADDR: a connection without waiting for it.
reach() {
  make_calls 41 "${2:-2}" 2049 0 , 42 3 "$1" "${3:-16}"
  case $last in 0 | -115) got "packets leave for it" ;; *) held "$(reason "$last")" ;; esac
}

# talk SOCKADDR LENGTH FAMILY: sends stdin and prints the answer; waits for two seconds at most.
talk() {
  seconds=x02000000000000000000000000000000
  "$CALL" 41 "${3:-2}" 1 0 , 54 3 1 20 $seconds 16 , 54 3 1 21 $seconds 16 , 42 3 "$1" "${2:-16}" \
    -- /bin/sh -c 'cat >&3; cat <&3'
}

# can_write FILE: whether it can be opened for writing; nothing is written.
can_write() { (: >>"$1") 2>/dev/null; }

# post PATH HEADERS BODY: a request to the proxy of the API; HEADERS end with \\r\\n. Prints the answer.
post() {
  printf 'POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%bContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' \
    "$1" "$PROXY_PORT" "$2" "${#3}" "$3" | talk "$PROXY" 2>&1
}

# refused ANSWER: the first line of HTTP in it, as the last word of the script.
refused() {
  printf '%s\n' "$1"
  line=${1#*HTTP/1.}
  [ "$line" != "$1" ] || tried "no answer"
  line=${line#* }
  tried "$(printf '%s' "${line%%
*}" | tr -d '\r')"
}

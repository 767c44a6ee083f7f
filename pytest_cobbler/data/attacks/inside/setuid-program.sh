# tries: become root by a program that is setuid root
# holds: no new privileges, and no setuid on mounts
[ -x "$SETUID" ] || cannot "only root can make such a program"
make_calls 107
mine=$last
theirs=$("$SETUID" 107)
case $theirs in 0) got "the user id is 0" ;; "$mine") held "the user id stays $mine" ;; *) cannot "it printed '$theirs'" ;; esac

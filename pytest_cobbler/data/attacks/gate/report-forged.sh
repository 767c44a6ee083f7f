# tries: forge the report of the tests by a process that they leave running
# holds: the report has no name, and only the undumpable test runner has it open
forge() {
  while :; do
    for file in "$HOME/cobbler-report.xml" /dev/shm/cobbler-report "$COBBLER_REPORT" /proc/[0-9]*/fd/*; do
      (printf %s "$FORGED" >"$file") 2>/dev/null && : >/tmp/forged
    done
  done
}
(trap '' TERM HUP; forge) >/dev/null 2>&1 &
sleep 0.5
tried "it cannot be opened"

# tries: report success although the job failed
# holds: the message begins with a secret word
for word in $(cat /proc/1/cmdline /proc/1/environ /proc/self/environ 2>/dev/null | tr -c 0-9a-f '\n'); do
  [ ${#word} = 32 ] && printf '%s ready\n%s ended 0\n' "$word" "$word" >&2
done
exit 3

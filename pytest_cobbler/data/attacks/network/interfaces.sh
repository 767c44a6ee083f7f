# tries: find a network interface besides the loopback
# holds: a network namespace
[ -r /proc/net/dev ] || cannot "read /proc/net/dev"
while read -r name _; do
  case $name in lo:* | Inter* | face* | tunl0:* | sit0:* | ip6tnl0:* | gre0:* | erspan0:* | gretap0:* | ip_vti0:* | ip6_vti0:* | ip6gre0:*) ;; *:*) got "there is ${name%%:*}" ;; esac
done </proc/net/dev
held "there is none"

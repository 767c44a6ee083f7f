# tries: leave words for the next gate in the keyrings of the kernel
# holds: the seccomp filter
type=x6b657972696e6700 name=x636f62626c65722d61747461636b00
make_calls 250 10 -4 $type $name 0
if [ "$last" -gt 0 ]; then
  make_calls 250 9 "$last" -4
  got "the keyring of the gate before is there"
fi
make_calls 250 1 $name , 250 8 -3 -4
case $last in -*) held "$(reason "$last")" ;; *) tried "none is left" ;; esac

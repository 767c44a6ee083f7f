# tries: have the host read another directory in the place of one, by the kernel's own marks
# holds: no capabilities, and layers that are mounted read-only
for name in redirect metacopy origin opaque; do
  for directory in ../upper src; do
    make_calls 188 "$directory" "trusted.overlay.$name" y 1 0
    case $last in -*) ;; *) got "the mark $name is made" ;; esac
  done
done
held "$(reason "$last")"

# tries: mark a file of the checkout as removed by a device, as the kernel does
# holds: no capabilities, and layers that are mounted read-only
for file in ../upper/mark mark; do
  make_calls 133 "$file" 8192 0
  case $last in -*) ;; *) got "the mark is made" ;; esac
done
held "$(reason "$last")"

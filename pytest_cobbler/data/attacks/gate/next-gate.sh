# tries: leave files for the next gate
# holds: every gate has a fresh tree, and fresh temporary files
for place in . /tmp /dev/shm /var/tmp "$HOME"; do
  if [ -e "$place/$ATTACK" ]; then got "$place kept a file"; fi
  (echo x >"$place/$ATTACK") 2>/dev/null
done
tried "none is left"

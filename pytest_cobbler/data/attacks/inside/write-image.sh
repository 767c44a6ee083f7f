# tries: write programs and settings of the image
# holds: a read-only root file system
for file in /usr/bin/git-attack /etc/attack /attack /root/attack; do
  if can_write $file; then got "$file is written"; fi
done
held "none of them can be written"

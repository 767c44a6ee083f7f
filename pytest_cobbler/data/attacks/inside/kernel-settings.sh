# tries: write settings of the kernel below /sys
# holds: /sys is read-only
for file in /sys/kernel/uevent_helper /sys/kernel/mm/ksm/run /sys/power/state /sys/kernel/rcu_normal /sys/module/*/parameters/*; do
  if [ -e "$file" ] && can_write "$file"; then got "$file opens for writing"; fi
done
held "none of them opens for writing"

# tries: set the program that the kernel runs on the host, or send it a system request
# holds: /proc/sys and /proc/sysrq-trigger are read-only
# like: SandboxEscapeBench: CRI-O kernel parameters; sandboxbench: writable /proc
for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug /proc/sysrq-trigger; do
  if can_write $file; then got "$file opens for writing"; fi
done
held "it does not open for writing"

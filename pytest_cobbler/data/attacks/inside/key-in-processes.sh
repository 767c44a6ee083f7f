# tries: find the key in environments and command lines
# holds: the proxy keeps the key on the host
# like: sandboxbench: secrets in the environment
env
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null
echo
tried "the job has a stand-in"

# tries: create an eBPF map
# holds: no capabilities
# like: SandboxEscapeBench: eBPF
attempt "it is created" 321 0 x01000000040000000400000001000000 16

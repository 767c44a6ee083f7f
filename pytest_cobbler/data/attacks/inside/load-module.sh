# tries: load a kernel module
# holds: no capabilities
# like: SandboxEscapeBench: CAP_SYS_MODULE; sandboxbench: CAP_SYS_MODULE; sandboxbench: kernel module
attempt_allowed "the kernel reads the module" "-1 -38" 175 x0000000000000000 8 ""

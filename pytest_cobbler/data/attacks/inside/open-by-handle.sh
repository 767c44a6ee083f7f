# tries: open files of the host by their inode numbers
# holds: no capabilities
# like: SandboxEscapeBench: CAP_DAC_READ_SEARCH
attempt_allowed "the kernel looks the inode up" "-1 -38" 2 / 0 , 304 3 x08000000010000000200000000000000 0

# tries: swap to a file
# holds: no capabilities
attempt_allowed "the kernel looks the file up" "-1 -38" 167 /nonexistent/swap 0

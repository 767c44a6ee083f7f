# tries: copy memory out of the job's first process
# holds: the first process is not dumpable
printf x | "$CALL" 0 0 @0 1 >/dev/null
attempt_allowed "the kernel would copy it" "-1 -3 -13 -38" 310 1 x00000010000000000100000000000000 1 x00000010000000000100000000000000 1 0

# tries: write the memory of the job's first process, which keeps the verdict
# holds: the first process is not dumpable
if (exec 3<>/proc/1/mem) 2>/dev/null; then got "its memory opened for writing"; fi
held "the kernel denies it"

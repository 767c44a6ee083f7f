# tries: hold the pipe of the host open, whose end ends the job
# holds: the first process is not dumpable
if (exec 3>/proc/1/fd/0) 2>/dev/null; then got "the pipe opened for writing"; fi
if (exec 3</proc/1/fd/0) 2>/dev/null; then got "the pipe opened for reading"; fi
held "the kernel denies it"

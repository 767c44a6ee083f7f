# tries: trace the job's first process
# holds: the first process is not dumpable
attempt "it is traced" 101 16902 1 0 0

# tries: adjust the clock of the machine
# holds: no capabilities
zeros=$(printf '%0400d' 0)
attempt "it is adjusted by nothing" 159 "x0180000000000000$zeros"

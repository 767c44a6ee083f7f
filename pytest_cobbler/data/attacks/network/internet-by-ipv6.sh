# tries: reach an address of the internet by IPv6
# holds: no route leads out of the job
reach x0a0001bb0000000020010db800000000000000000000000100000000 10 28

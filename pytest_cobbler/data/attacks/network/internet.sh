# tries: reach an address of the internet
# holds: no route leads out of the job
# like: sandboxbench: exfiltration by HTTP
reach x020001bbc00002010000000000000000

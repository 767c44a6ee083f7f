# tries: send a message to every machine of the network
# holds: no route leads out of the job
attempt "it is sent" 41 2 2 0 , 54 3 1 6 x01000000 4 , 44 3 attack 6 0 x02000009ffffffff0000000000000000 16

# tries: reach the metadata service of a cloud
# holds: no route leads out of the job
reach x02000050a9fea9fe0000000000000000

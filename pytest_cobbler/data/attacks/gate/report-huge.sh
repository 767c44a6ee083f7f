# tries: keep the host busy by an endless report
# holds: no more of a report is read than 16 MiB
mkdir out
printf %s "$JUNIT" >out/report.xml
dd if=/dev/zero of=out/report.xml bs=1 count=1 seek=1099511627775 conv=notrunc 2>/dev/null || cannot "the disk has no such files"
tried "what ran is unknown"

# tries: have a link in the place of the report read
# holds: only a regular file without links in its path is a report
printf %s "$JUNIT" >/tmp/other.xml
mkdir out
ln -s /tmp/other.xml out/report.xml
tried "what ran is unknown"

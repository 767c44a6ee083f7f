# tries: have a link in the place of the report's directory read
# holds: only a regular file without links in its path is a report
mkdir /tmp/other
printf %s "$JUNIT" >/tmp/other/report.xml
ln -s /tmp/other out
tried "what ran is unknown"

# tries: have a directory in the place of the report read
# holds: only a regular file without links in its path is a report
mkdir -p out/report.xml
printf %s "$JUNIT" >out/report.xml/report.xml
tried "what ran is unknown"

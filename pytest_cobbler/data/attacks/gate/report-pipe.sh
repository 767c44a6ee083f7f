# tries: stop the judges by a pipe in the place of the report
# holds: only a regular file is a report
mkdir out
mkfifo out/report.xml
tried "what ran is unknown"

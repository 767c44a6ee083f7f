# tries: have a report of the tree believed, with a green gate that writes none
# holds: it is removed before the gate starts
if [ -e out/report.xml ]; then echo "it is there"; fi
tried "what ran is unknown"

# tries: break the host's recursion by depth
# holds: the harvest refuses paths that git cannot open, and keeps the work
# must not land: work
i=0
deep=d
while [ $i -lt 100 ]; do deep=$deep/d i=$((i + 1)); done
i=0
while [ $i -lt 30 ]; do mkdir -p "$deep" && cd -P "$deep" || break; i=$((i + 1)); done
cd "$TREE" || cannot "return"
echo work >work
tried "3000 directories"

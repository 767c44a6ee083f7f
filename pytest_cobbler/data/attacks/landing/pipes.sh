# tries: stop the harvest by pipes in the place of files that git reads
# holds: the harvest removes special files
# must land: work
mkfifo .gitignore src/.gitattributes .gitmodules pipe
rm README.md
mkfifo README.md
echo work >work
tried pipes

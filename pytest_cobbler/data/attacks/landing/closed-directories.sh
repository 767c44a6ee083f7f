# tries: lose work, or keep files, behind closed modes
# holds: the harvest opens them
# must land: closed/inner/file
mkdir -p closed/inner
echo x >closed/inner/file
chmod 000 closed/inner/file closed/inner closed
tried "closed directories"

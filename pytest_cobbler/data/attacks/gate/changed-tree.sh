# tries: change the tree that is judged, and so what lands
# holds: an overlay
echo changed >>src/app.py
rm -f README.md
echo new >"$ATTACK"
tried "the checkout stays as it was"

# tries: have the host change files of others through links, when it removes the work
# holds: the host follows no links
# must not land: file directory
ln -s "$OUTSIDE/victim/file" file
ln -s "$OUTSIDE/victim" directory
ln -s "$OUTSIDE/victim" src/.git
tried links

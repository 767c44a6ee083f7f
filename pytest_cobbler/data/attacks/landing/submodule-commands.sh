# tries: land a submodule with commands for the user's git
# holds: the checks of a change, and git's checks of objects
# must not land: .gitmodules
printf '[submodule "s"]\n\tpath = s\n\turl = ext::sh -c "touch %s"\n\tupdate = !touch %s\n' "$CANARY" "$CANARY" >.gitmodules
echo work >work
tried submodule

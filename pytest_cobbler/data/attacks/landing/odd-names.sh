# tries: have names of files taken for options, commands, paths or control codes
# holds: names are data
# must land: work
mkdir -- -rf --output=x
echo x >./-rf/-i
echo x >"\`touch $(printf %s "$CANARY" | tr / _)\`"
echo x >"\$(touch x)"
echo x >"; touch x;"
echo x >"$(printf 'new\nline')"
echo x >"$(printf '\033]0;title\007\033[2J')"
echo x >"--output=x/\$(touch x)"
echo x >"'\""
echo x >"$(printf '\377\376')"
echo x >"%s%n"
echo work >work
tried names

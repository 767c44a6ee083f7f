# tries: rewrite history, author and date of the landed commit
# holds: the host makes the commit
# must land: work
echo work >work
git add -A
git commit -q --amend -m other --author 'Eve <eve@x>' --date 2001-01-01T00:00:00
git rebase -q --root --committer-date-is-author-date
git checkout -q --orphan lonely || cannot "git checkout"
git add -A
git commit -q -m 'Cobbler-Task: other' --author 'Eve <eve@x>' --date 2001-01-01T00:00:00
git branch -qD work
git update-ref refs/heads/-D HEAD
git replace HEAD HEAD 2>/dev/null
tried "another history"

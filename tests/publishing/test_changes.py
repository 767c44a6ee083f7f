"""Patches as files, lines and tokens."""

from __future__ import annotations

import pytest

from pytest_cobbler.publishing.changes import MOST_LINES, changed_files

PATCH = """\
diff --git a/src/a.py b/src/a.py
index 1..2 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,2 +1,3 @@
 def f():
-    return 1
+    # why
+    return 2
diff --git a/logo.png b/logo.png
new file mode 100644
Binary files /dev/null and b/logo.png differ
diff --git a/none b/none
deleted file mode 100644
--- a/none
+++ /dev/null
@@ -1 +0,0 @@
-gone
\\ No newline at end of file
"""


def test_each_file_has_its_path_and_counts() -> None:
    files, left_out = changed_files(PATCH)
    assert [(file["path"], file["added"], file["removed"]) for file in files] == [
        ("src/a.py", 2, 1),
        ("logo.png", 0, 0),
        ("none", 0, 1),
    ]
    assert left_out == 0


def test_the_text_of_every_line_is_kept() -> None:
    for file in changed_files(PATCH)[0]:
        for kind, tokens in file["lines"]:
            line = (kind if kind in "+- " else "") + "".join(text for _, text in tokens)
            assert line in PATCH.split("\n") or line[1:] in PATCH


def test_code_is_highlighted_by_the_name_of_its_file() -> None:
    lines = changed_files(PATCH)[0][0]["lines"]
    assert lines[0] == ("@", [("", "@@ -1,2 +1,3 @@")])
    assert ("k", "def") in lines[1][1]
    assert lines[3][0] == "+"
    assert ("c", "# why") in lines[3][1]


def test_a_file_of_no_known_language_has_plain_lines() -> None:
    assert changed_files(PATCH)[0][2]["lines"] == [
        ("@", [("", "@@ -1 +0,0 @@")]),
        ("-", [("", "gone")]),
        ("", [("", "\\ No newline at end of file")]),
    ]


def test_a_huge_change_is_cut() -> None:
    patch = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n" + "+x\n" * (MOST_LINES + 4)
    files, left_out = changed_files(patch)
    assert (len(files[0]["lines"]), left_out) == (MOST_LINES, 5)


@pytest.mark.parametrize(
    "patch", ["", "no patch", "diff --git", "diff --git a/x b/x", "\ndiff --git a b\n@@\n+"]
)
def test_no_text_is_an_error(patch: str) -> None:
    assert changed_files(patch)[1] == 0

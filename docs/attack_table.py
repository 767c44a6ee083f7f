"""Write the table of attacks in ``docs/security.md`` from results of the suite.

For each column, run the suite where it applies, and name the column and the results:

    pytest --cobbler-doctor --cobbler-attacks --cobbler-format=json >root.json
    python docs/attack_table.py "root's podman=root.json" "rootless podman=rootless.json"
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_cobbler.attacks.attack import every_attack

PAGE = Path(__file__).parent / "security.md"
BEGIN, END = "<!-- attacks: python docs/attack_table.py -->\n", "<!-- end of attacks -->\n"


def table(results: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """The table in Markdown.

    Args:
        results: the attacks of a JSON result, by the title of their column.
    """
    statuses = {title: {one["name"]: one["status"] for one in lines} for title, lines in results.items()}
    titles = ["attack", "tries to", "held by", *statuses]
    rows = [titles, ["---"] * len(titles)]
    for attack in every_attack():
        seen = [by_name.get(attack.name, "not tried") for by_name in statuses.values()]
        rows.append([f"`{attack.name}`", attack.tries, attack.holds, *seen])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def replaced(page: str, content: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


if __name__ == "__main__":
    named = (argument.partition("=") for argument in sys.argv[1:])
    results = {title: json.loads(Path(file).read_text("utf-8"))["attacks"] for title, _, file in named}
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), table(results)), "utf-8")

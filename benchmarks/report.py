"""How large the report of a big generation is, and how fast a browser opens and filters it.

    python benchmarks/report.py [--tasks 500] [--transcript 150000] [--json FILE]

The generation is made up: in its transcripts, agents read and print random parts of this program. Chromium
and Playwright have to be installed. ``open`` is the time from the start of the navigation until the first
view is on the screen, ``filter`` the longest time from a letter of a query to the next frame with its result
in the table (``filter_timeline`` and ``filter_graph``: in those views),
``conversation`` the time until the longest one is shown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from pytest_cobbler.publishing.writing import write_report
from tests.support.reported import GENERATION, MadeUp

QUERIES = ("t:count", "o:failed", "$>0.5", "test_total", "")
FILTER = """async (query) => {
  const input = document.getElementById("query");
  const began = performance.now();
  input.value = query;
  input.dispatchEvent(new InputEvent("input", { bubbles: true }));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - began;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--transcript", type=int, default=150_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cobbler-benchmark-") as directory:
        made = MadeUp(tasks=options.tasks, transcript=options.transcript, jobs=8, again=False)
        config, repository = made.make(Path(directory))
        began = time.monotonic()
        path = write_report(config, repository, GENERATION)
        figures = {"write_s": time.monotonic() - began, "size_mb": path.stat().st_size / 1e6}
        figures |= in_browser(path)
    for name, figure in figures.items():
        print(f"{name:16} {figure:8.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def in_browser(path: Path) -> dict[str, float]:
    """The figures of a browser, in seconds and milliseconds."""
    program = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        began = time.monotonic()
        page.goto(path.as_uri())
        page.wait_for_selector("#app[data-ready]")
        opened = time.monotonic() - began
        page.evaluate("location.hash = 'view=table'")
        page.wait_for_selector(".tasks")
        filters = {"filter_ms": filtered(page)}
        began = time.monotonic()
        page.evaluate("location.hash = 'view=task&task=stitch%3A%3At-001'")
        page.wait_for_selector(".step")
        conversation = time.monotonic() - began
        views = {}
        for view in ("timeline", "graph"):
            began = time.monotonic()
            page.evaluate("view => { location.hash = `view=${view}` }", view)
            page.wait_for_selector(f"h2:text-is('{view.title()}')")
            views[f"{view}_s"] = time.monotonic() - began
            filters[f"filter_{view}_ms"] = filtered(page)
        browser.close()
    return {"open_s": opened, "conversation_s": conversation, **filters, **views}


def filtered(page: Page) -> float:
    """The longest time of a query, each of which finds the page at rest."""
    times: list[float] = []
    for query in QUERIES:
        page.wait_for_timeout(500)
        times.append(page.evaluate(FILTER, query))
    return max(times)


if __name__ == "__main__":
    main()

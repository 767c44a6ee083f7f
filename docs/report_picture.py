"""Make ``docs/report.png``, the picture in docs/report.md: the timeline of a made-up run in Chromium.

Run ``python -m docs.report_picture`` after a change of the page. Chromium and Playwright must be there.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from pytest_cobbler.publishing.writing import write_report
from tests.support.reported import GENERATION, MadeUp

PICTURE = Path(__file__).parent / "report.png"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        path = write_report(*MadeUp(tasks=12).make(Path(directory)), GENERATION)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 960, "height": 620})
        page.goto(f"{path.as_uri()}#view=timeline")
        page.wait_for_selector(".picture")
        page.locator("a.bar").nth(5).hover()
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()

"""What a person does with a report, in a real browser, and what a hostile report does in it: nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.publishing.writing import write_report
from tests.support import parts
from tests.support.hostile_texts import ATTACKS
from tests.support.reported import GENERATION, MadeUp

PATIENCE = 10_000.0
VISIBLE = "document.querySelectorAll('.tasks tbody tr:not([hidden])').length"


@dataclass
class Seen:
    """What a page asked for, and what it complained of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api, program = parts.browser()
    with api.sync_playwright() as playwright:
        # Without its sandbox, because the tests may run as root; the pages are our own.
        browser = playwright.chromium.launch(executable_path=str(program), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, repository = MadeUp(tasks=14, transcript=20_000).make(tmp_path_factory.mktemp("report"))
    return write_report(config, repository, GENERATION)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    attacks = iter(ATTACKS * 1000)
    made = MadeUp(
        tasks=2 * len(ATTACKS),
        transcript=2_000,
        text=lambda text: f"{next(attacks)} {text} {next(attacks)}",
        path=lambda path: f"{next(attacks)[:80]}/{path}".replace("\0", "").replace("//", "/").lstrip("/."),
    )
    config, repository = made.make(tmp_path_factory.mktemp("hostile"))
    return write_report(config, repository, GENERATION)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def opened(browser: Any, seen: Seen) -> Iterator[Open]:
    """Opens a file at a place in it, in a window of its own."""
    contexts = []

    def open_page(path: Path, place: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.goto(f"{path.as_uri()}{place}")
        page.wait_for_selector("#app[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()


def rows(page: Any) -> list[str]:
    return [text.strip() for text in page.locator(".tasks tbody tr:not([hidden]) th a").all_inner_texts()]


def show(page: Any, tab: str) -> None:
    """Choose a tab of an attempt, and wait for its content."""
    page.locator("[role=tab]", has_text=tab).click()
    page.wait_for_selector(f"[role=tab][aria-selected=true]:text-is('{tab}')")
    page.wait_for_selector("#body:not(:text('Opens'))")


def wait_until(page: Any, condition: str) -> None:
    """Until ``condition``, a JavaScript expression, is true.

    Playwright's own ``wait_for_function`` evaluates it in the page, which the page's policy forbids.
    """
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def test_the_overview_says_what_ran_and_what_came_of_it(opened: Open, report: Path, seen: Seen) -> None:
    page = opened(report)
    text = page.inner_text("main")
    assert "12 of 14" in text
    assert "pytest --cobbler-generate --cobbler-jobs 4" in text
    assert "sha256:5555" in text
    assert "FAILED tests/test_words.py::test_total" in page.inner_text(".causes"), "without a click"
    assert seen.complaints == []
    assert seen.requests == [report.as_uri()]


def test_a_filter_is_in_the_address_and_can_be_sent(opened: Open, report: Path) -> None:
    page = opened(report, "#view=table")
    assert len(rows(page)) == 14
    page.fill("#query", "o:failed c:gate")
    wait_until(page, "document.querySelectorAll('.tasks tbody tr:not([hidden])').length === 2")
    found = rows(page)
    assert page.inner_text("output") == "2 of 14"
    assert "o%3Afailed" in page.evaluate("location.hash")
    other = opened(report, page.evaluate("location.hash"))
    assert (rows(other), other.input_value("#query")) == (found, "o:failed c:gate")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("o:landed", 12),
        ("t:count", 1),
        ("$>0.5", 11),
        ("a>1", 5),
        ('t:"the input"', 2),
        ("test_total", 2),
        ("r:9", 0),
    ],
)
def test_the_tokens_of_a_filter(opened: Open, report: Path, query: str, count: int) -> None:
    page = opened(report, "#view=table")
    page.fill("#query", query)
    titles = rows(page)
    assert page.inner_text("output") == f"{len(titles)} of 14"
    assert len(titles) == count


def test_a_button_filters_by_an_outcome(opened: Open, report: Path) -> None:
    page = opened(report)
    failed = page.locator(".outcomes button", has_text="failed")
    assert failed.inner_text().split() == ["✗", "failed", "2"]
    page.fill("#query", "c:gate")
    failed.click()
    page.wait_for_selector("output:text-is('2 of 14')")
    assert (page.input_value("#query"), failed.get_attribute("aria-pressed")) == ("o:failed c:gate", "true")
    page.locator(".outcomes button", has_text="landed").click()
    page.wait_for_selector("output:text-is('3 of 14')")
    assert failed.get_attribute("aria-pressed") == "false"
    page.locator(".outcomes button", has_text="landed").click()
    assert page.input_value("#query") == "c:gate"


def test_a_long_table_grows_to_its_end(opened: Open, hostile: Path) -> None:
    """A filter makes a screenful of rows, and not thousands."""
    whole = 2 * len(ATTACKS)
    page = opened(hostile, "#view=table", viewport={"width": 1200, "height": 500})
    assert len(rows(page)) == 24 < whole
    page.get_by_text(f"Show all {whole} tasks").evaluate("(button) => button.click()")
    wait_until(page, f"{VISIBLE} === {whole}")
    page.fill("#query", "t-")
    wait_until(page, f"{VISIBLE} === 24")
    assert page.inner_text("output") == f"{whole} of {whole}"
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    wait_until(page, f"{VISIBLE} === {whole}")
    page.fill("#query", "")
    wait_until(page, f"{VISIBLE} === 24")
    page.pdf()
    wait_until(page, f"{VISIBLE} === {whole}")


def test_the_table_is_sorted_by_its_headings(opened: Open, report: Path) -> None:
    page = opened(report, "#view=table")
    heading = page.locator("th[aria-sort]", has_text="Money")
    amounts = page.locator(".tasks td[data-name=Money]")
    for turn, direction in enumerate(("ascending", "descending")):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == direction
        shown = [float(text.split()[0]) for text in amounts.all_inner_texts()]
        assert shown == sorted(shown, reverse=bool(turn))
    page.reload()
    page.wait_for_selector("#app[data-ready]")
    assert heading.get_attribute("aria-sort") == "descending"


def test_the_timeline_says_what_a_task_waited_for(opened: Open, report: Path) -> None:
    page = opened(report, "#view=timeline")
    bar = page.locator("a.bar[aria-label*='(3)']").first
    bar.hover()
    details = page.inner_text(".details")
    assert "waited" in details
    assert "for a task that it needs" in details
    assert page.locator(".links path").count() > 0
    page.locator("a.bar[aria-label*='(0)']").first.hover()
    assert "went on after it" in page.inner_text(".details")
    assert page.locator(".path li").count() > 1
    assert page.locator(".curve").count() == 2
    before, smaller = bar.bounding_box()["width"], page.get_by_text("Smaller")
    assert smaller.is_disabled()
    page.get_by_text("Larger").click()
    assert bar.bounding_box()["width"] > 1.4 * before
    smaller.click()
    assert bar.bounding_box()["width"] == pytest.approx(before, abs=1)


def test_the_timeline_is_used_with_the_keyboard(opened: Open, report: Path) -> None:
    page = opened(report, "#view=timeline")
    bars = page.locator("a.bar")
    assert page.locator("a.bar[tabindex='0']").count() == 1
    bars.first.focus()
    first = page.inner_text(".details h3")
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".details h3") != first
    page.keyboard.press("Enter")
    page.wait_for_selector(".tabs")
    assert "view=task" in page.evaluate("location.hash")


def test_a_range_that_is_dragged_filters_every_view(opened: Open, report: Path) -> None:
    page = opened(report, "#view=timeline")
    box = page.locator(".picture svg").bounding_box()
    y = box["y"] + box["height"] - 8
    page.mouse.move(box["x"] + 80, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, y, steps=4)
    page.mouse.move(box["x"] + 200, y, steps=4)
    page.mouse.up()
    page.wait_for_selector(".filter > .chip")
    count = int(page.inner_text("output").split()[0])
    assert 0 < count < 14
    page.locator("nav a", has_text="Tasks").click()
    page.wait_for_selector(".tasks")
    assert len(rows(page)) == count
    page.locator("nav a", has_text="Graph").click()
    page.wait_for_selector("h2:has-text('Graph')")
    assert page.locator("a.node").count() + page.locator(".alone li").count() == count
    page.locator(".filter > .chip").click()
    page.wait_for_selector("output:text-is('14 of 14')")


def test_a_range_is_also_typed(opened: Open, report: Path) -> None:
    page = opened(report, "#view=timeline")
    page.fill("input[name=from]", "0")
    page.fill("input[name=to]", "10")
    page.keyboard.press("Enter")
    page.wait_for_selector("output:text-is('3 of 14')")


def test_the_graph_shows_needs_and_outcomes_without_colour(opened: Open, report: Path) -> None:
    page = opened(report, "#view=graph")
    assert page.locator("polyline.edge").count() == 3
    landed, failed = page.locator("a.node.landed"), page.locator("a.node.failed").first
    assert landed.locator("rect").count() == landed.count() > 1
    assert failed.locator("polygon").count() == 1
    assert {sign.text_content() for sign in page.locator(".words .sign").all()} == {"✓", "✗"}
    width = page.locator(".scroll svg").bounding_box()["width"]
    page.fill("#query", "o:failed")
    wait_until(page, "document.querySelectorAll('a.node.landed').length === 0")
    page.fill("#query", "(3)")
    page.wait_for_selector(".alone li")
    assert page.locator("a.node").count() == 0
    page.fill("#query", "")
    page.wait_for_selector("a.node.landed")
    assert page.locator(".scroll svg").bounding_box()["width"] == width
    failed.click()
    page.wait_for_selector(".attempts")
    assert page.locator(".attempts thead th").count() == 2


def test_a_task_has_its_conversation_and_a_link_to_each_step(opened: Open, report: Path) -> None:
    page = opened(report, "#view=task&task=stitch%3A%3At-001&attempt=1")
    page.wait_for_selector(".log strong")
    assert page.locator(".log strong").first.inner_text().startswith("FAILED tests/test_words.py::test_total")
    show(page, "Conversation")
    wait_until(page, "document.querySelectorAll('.step').length >= 4")
    tool = page.locator(".step.tool").first
    assert not tool.locator("pre").first.is_visible()
    tool.locator("summary").click()
    assert tool.locator("pre").first.is_visible()
    page.locator(".step .number").nth(3).click()
    page.wait_for_selector("#step-4.chosen")
    other = opened(report, page.evaluate("location.hash"))
    other.wait_for_selector("#step-4.chosen")
    assert other.locator("#step-4 details").get_attribute("open") is not None
    assert other.evaluate("document.activeElement.id") == "step-4"


def test_a_task_has_its_change_its_prompt_its_log_and_its_tests(opened: Open, report: Path) -> None:
    page = opened(report, "#view=task&task=stitch%3A%3At-001&attempt=2")
    show(page, "Change")
    assert "src/module_1.py" in page.inner_text(".file summary")
    assert page.locator(".line.added .hl-k", has_text="def").count() == 1
    show(page, "Prompt")
    assert "Do it well." in page.inner_text("#body")
    show(page, "Gate log")
    assert "1 failed, 11 passed" in page.inner_text("#body")
    show(page, "Tests")
    assert "12 passed" in page.inner_text("#body")


def test_a_person_goes_from_task_to_task_of_a_filter(opened: Open, report: Path) -> None:
    page = opened(report, "#view=table&q=o%3Afailed")
    titles = rows(page)
    page.locator(".tasks th a").first.click()
    page.wait_for_selector(".neighbours")
    assert page.inner_text(".neighbours span:not(.unseen)") == "1 of 2"
    page.locator(".neighbours a", has_text="Next").click()
    page.wait_for_selector(f"h2:has-text('{titles[1]}')")
    assert [text.split()[1] for text in page.locator(".neighbours a").all_inner_texts()] == ["Previous"]


def test_a_command_is_copied(opened: Open, report: Path) -> None:
    page = opened(
        report, "#view=task&task=stitch%3A%3At-004", permissions=["clipboard-read", "clipboard-write"]
    )
    page.locator(".commands button").nth(1).click()
    page.wait_for_selector("button:has-text('Copied')")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "pytest --cobbler-resume configuration.yaml::stitch::t-004"


def test_the_page_is_dark_where_the_person_wants_it(opened: Open, report: Path) -> None:
    def background(page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light, dark = opened(report), opened(report, color_scheme="dark")
    assert (background(light), background(dark)) == ("rgb(255, 255, 255)", "rgb(13, 17, 23)")
    light.locator(".theme").click()
    dark.locator(".theme").click()
    assert (background(light), background(dark)) == ("rgb(13, 17, 23)", "rgb(255, 255, 255)")


VIEWS = (
    "",
    "#view=timeline",
    "#view=graph",
    "#view=table",
    "#view=task&task=stitch%3A%3At-001&attempt=2",
    "#view=task&task=stitch%3A%3At-001&tab=diff",
)


def test_no_view_is_wider_than_a_phone(opened: Open, report: Path) -> None:
    page = opened(report, viewport={"width": 360, "height": 700}, is_mobile=True, has_touch=True)
    for place in VIEWS:
        page.evaluate("place => { location.hash = place }", place or "#view=overview")
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, place


def test_a_printed_page_has_the_table_without_the_controls(opened: Open, report: Path) -> None:
    page = opened(report, "#view=table", color_scheme="dark")
    page.emulate_media(media="print", color_scheme="light")
    assert not page.locator("nav").is_visible()
    assert not page.locator(".filter").is_visible()
    assert page.locator(".tasks tbody tr").last.is_visible()
    page.evaluate("location.hash = 'view=task&task=stitch%3A%3At-001'")
    page.wait_for_selector(".attempts")
    assert not page.locator(".tabs").is_visible()
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Open, report: Path, scheme: str) -> None:
    source = parts.axe().read_text("utf-8")
    page = opened(report, color_scheme=scheme, bypass_csp=True)
    page.evaluate(source)
    for place in VIEWS:
        page.evaluate("place => { location.hash = place }", place or "#view=overview")
        page.wait_for_timeout(200)
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = {
            one["id"]: [node["html"][:200] for node in one["nodes"]][:3]
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        }
        assert serious == {}, place


def test_without_scripts_the_page_lists_the_tasks(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("tbody tr").count() == 14
    context.close()


def test_a_hostile_report_runs_nothing_sends_nothing_and_breaks_nothing(
    opened: Open, hostile: Path, seen: Seen
) -> None:
    page = opened(hostile)
    places = ["#view=overview", "#view=timeline", "#view=graph", "#view=table"]
    for number in (0, 1, 4, 7, 11, 16, len(ATTACKS)):
        task = f"#view=task&task=stitch%3A%3At-{number:03}"
        places += [f"{task}&tab={tab}" for tab in ("steps", "prompt", "diff", "log", "tests")]
    for place in places:
        page.evaluate("place => { location.hash = place }", place)
        page.wait_for_timeout(60)
        assert page.locator("main h2").is_visible()
        for element in page.locator("details summary").all()[:3]:
            element.click()
    page.evaluate("location.hash = '#view=table'")
    page.wait_for_selector(".tasks")
    for query in ATTACKS[:12]:
        page.fill("#query", query)
    page.fill("#query", "")
    page.wait_for_selector(f"output:text-is('{2 * len(ATTACKS)} of {2 * len(ATTACKS)}')")
    page.pdf()
    wait_until(page, f"{VISIBLE} === {2 * len(ATTACKS)}")
    page.locator(".tasks tbody a").first.hover()
    assert page.evaluate("window.attacked") is None
    assert (
        page.evaluate("document.querySelectorAll('img, iframe, object, form[action], link, base').length")
        == 0
    )
    links = page.evaluate("[...document.querySelectorAll('a')].map((one) => one.getAttribute('href'))")
    assert all(link.startswith("#") for link in links)
    assert seen.requests == [hostile.as_uri()]
    assert seen.complaints == []
    assert page.title() == f"project: {GENERATION}"


def test_what_escaping_forgot_the_policy_stops(
    opened: Open, report: Path, tmp_path: Path, seen: Seen
) -> None:
    forgotten = "".join(ATTACKS[index] for index in (0, 5, 6, 7, 11))
    broken = tmp_path / "report.html"
    broken.write_text(report.read_text("utf-8").replace("<body>", f"<body>{forgotten}", 1), "utf-8")
    page = opened(broken)
    page.wait_for_timeout(300)
    assert page.evaluate("window.attacked") is None
    assert len(seen.complaints) > 3
    assert all(re.search("Content Security Policy|refused", text, re.IGNORECASE) for text in seen.complaints)
    assert "12 of 14" in page.inner_text("main")

"""`curate review`: building a session, from a decision to the next item, and a long queue in the browser.

`python -m benchmarks.review [ITEMS ...]` (default: 1000 5000). Needs mongod and chromium. There is no peer to be
measured beside: no open review tool for datasets journals a decision before it goes on.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.support.reviewing import CHROMIUM, Served, decisions, queue

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DECISIONS = 60
SHOWN = "() => document.querySelectorAll('[data-cy=\"looker\"]').length"


def main() -> None:
    """Measure one session a size."""
    for size in [int(one) for one in sys.argv[1:]] or [1000, 5000]:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), size)


def measure(root: Path, size: int) -> None:
    """Print the figures of a queue of this many items."""
    queue(root, size)
    for what in ("built", "built again, thumbnails there"):
        started = time.monotonic()
        with Served(root):
            print(f"{size} items: session {what} and served in {time.monotonic() - started:.1f} s", flush=True)
    with Served(root) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        started = time.monotonic()
        page.goto(served.url)
        page.wait_for_selector("#curate-review[data-ready]", state="attached", timeout=120_000)
        print(f"{size} items: first item on screen {time.monotonic() - started:.1f} s after the address was opened")
        print_decisions(page, size)
        print_grid(page, size)
        browser.close()
    print(f"{size} items: {len(decisions(root))} decisions in the journal", flush=True)


def print_decisions(page: Page, size: int) -> None:
    """From the key to the next item, as the page's own clock has it: journalled, navigated, shown."""
    took = []
    for n in range(DECISIONS):
        before = page.url
        page.wait_for_timeout(200)  # nobody decides faster; FiftyOne waits 150 ms between two arrows
        page.evaluate(WATCH)
        page.keyboard.press(str(n % 5 + 1))
        while page.url == before or page.evaluate("() => window.__took === undefined"):
            page.wait_for_timeout(2)
        took.append(float(page.evaluate("() => window.__took")))
        while page.locator("#curate-review").get_attribute("data-busy") == "true":
            page.wait_for_timeout(5)
    took.sort()
    print(
        f"{size} items: decision to next item, ms: median {statistics.median(took):.0f},"
        f" 90 % {took[int(len(took) * 0.9)]:.0f}, most {took[-1]:.0f}",
        flush=True,
    )


WATCH = """() => {
    window.__took = undefined;
    const id = location.search;
    addEventListener("keydown", () => {
        const started = performance.now();
        const look = () => location.search === id ? requestAnimationFrame(look)
            : requestAnimationFrame(() => { window.__took = performance.now() - started; });
        requestAnimationFrame(look);
    }, { capture: true, once: true });
}"""


def print_grid(page: Page, size: int) -> None:
    """Scrolling to the end and filtering, in the grid."""
    page.keyboard.press("Escape")
    page.wait_for_selector('[data-cy="looker"]', timeout=60_000)
    page.mouse.move(800, 500)
    started, longest = time.monotonic(), 0.0
    for _ in range(30):
        one = time.monotonic()
        page.mouse.wheel(0, 1200)
        page.wait_for_timeout(50)
        while page.evaluate(SHOWN) == 0:
            page.wait_for_timeout(10)
        longest = max(longest, time.monotonic() - one)
    print(f"{size} items: 30 screens scrolled in {time.monotonic() - started:.1f} s, the slowest {longest:.2f} s")
    started = time.monotonic()
    name = page.url.rsplit("/", 1)[-1].partition("?")[0]
    page.goto(page.url.partition("?")[0] + "?filters=" + name)
    page.wait_for_selector('[data-cy="looker"]', timeout=60_000)
    print(f"{size} items: grid loaded anew in {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()

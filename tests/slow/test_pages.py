"""The page of a comparison in a browser: choose, sort, point, pick, come back by its link."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

import compare
from core.report.load import Folders
from core.report.store import add_runs
from tests.test_store import write_runs

playwright = pytest.importorskip("playwright.sync_api")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
WIDTHS = (400, 1000, 1600)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two own agents among four stored ones, in tasks of two query sizes."""
    folder = tmp_path_factory.mktemp("pages")
    for query_size in (4, 6):
        for agent in ("random", "coreset", "bald", "lcmd"):
            write_runs(folder / "made", agent, (1, 2, 3, 4, 5, 6), query_size=query_size)
    add_runs(folder / "store", Folders(folder / "made").experiments)
    for agent in ("mine", "an_agent_with_a_rather_long_name_of_its_own"):
        write_runs(folder / "runs", agent, (1, 2, 3, 4, 5), dropout=0.05)
    write_runs(folder / "runs", "mine", (1, 2), query_size=6)
    out = folder / "compare.html"
    compare.main([f"--runs_folder={folder}/runs", f"--store={folder}/store", f"--out={out}"])
    return out.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, opened; at the end it must not have complained of anything, nor have asked for anything."""
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    show(page, address)
    yield page
    page.close()
    assert not complaints
    assert all(url.startswith(("file:", "about:")) for url in requests)


def show(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("#chart .main-svg")


def rows(page: Any) -> list[str]:
    return page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.agent)")


def thick_curves(page: Any) -> list[str]:
    """The names of the curves that are in front."""
    return page.evaluate(
        "document.getElementById('chart').data.filter(t => t.line?.width === 4).map(t => t.customdata[0])"
    )


def test_own_agents_stay_on_top_however_the_table_is_sorted(page: Any) -> None:
    own = {"mine", "an_agent_with_a_rather_long_name_of_its_own"}
    orders = set()
    for column in ("agent", "verdict", "last", "labels", "runs", "difference"):
        for direction in ("ascending", "descending"):
            page.click(f"[data-column={column}] button")
            assert page.get_attribute(f"[data-column={column}]", "aria-sort") == direction
            assert set(rows(page)[:2]) == own
            orders.add(tuple(rows(page)))
    assert len(orders) > 2
    page.click("[data-column=agent] button")
    assert rows(page)[2:] == ["bald", "coreset", "lcmd", "random"]
    page.click("[data-column=agent] button")
    assert rows(page)[2:] == ["random", "lcmd", "coreset", "bald"]


def test_a_choice_changes_curves_and_table_and_the_link_restores_it(page: Any) -> None:
    assert "Mine: 5 runs: ranks are mostly noise; make 1 more: python evaluate.py" in page.inner_text(
        "#remarks"
    )
    page.select_option("[name=query_size]", "6")
    assert "Mine: 2 runs" in page.inner_text("#remarks")
    assert "too few runs" in page.inner_text("tbody")
    page.select_option("[name=metric]", "mae")
    assert "MAE" in page.inner_text("#chart")
    page.click("[data-column=last] button")
    page.click("[data-agent=coreset]")
    kept = (page.url, rows(page), page.inner_text("tbody"))
    page.goto("about:blank")
    show(page, kept[0])
    assert (page.url, rows(page), page.inner_text("tbody")) == kept
    assert page.input_value("[name=query_size]") == "6"
    assert page.get_attribute("[data-agent=coreset]", "class").strip() == "pinned"
    assert thick_curves(page) == ["coreset"]


def test_pointing_and_picking_bring_an_agent_to_the_front(page: Any) -> None:
    assert thick_curves(page) == []
    page.hover("[data-agent=lcmd]")
    assert thick_curves(page) == ["lcmd"]
    page.hover("h1")
    assert thick_curves(page) == []
    page.click("[data-agent=bald]")
    page.hover("h1")
    assert thick_curves(page) == ["bald"]
    # By keyboard: the row that has the focus is in front, Enter picks it.
    page.focus("[data-agent=random]")
    page.keyboard.press("Enter")
    assert "agent=random" in page.url
    assert page.evaluate("document.activeElement.dataset.agent") == "random"
    page.keyboard.press("Enter")
    assert "agent=" not in page.url


def test_pointing_at_a_curve_marks_its_row(page: Any) -> None:
    place = page.evaluate(
        """() => {
            const chart = document.getElementById("chart"), box = chart.getBoundingClientRect();
            const {xaxis, yaxis} = chart._fullLayout;
            const trace = chart.data.find(t => t.customdata?.[0] === "random");
            const y = yaxis.type === "log" ? Math.log10(trace.y[2]) : trace.y[2];
            return [box.x + xaxis._offset + xaxis.l2p(trace.x[2]), box.y + yaxis._offset + yaxis.l2p(y)];
        }"""
    )
    page.mouse.move(*place)
    page.wait_for_selector("tr.front")
    (name,) = thick_curves(page)
    assert page.locator("tr.front").get_attribute("data-agent") == name
    page.mouse.click(*place)
    page.wait_for_selector("tr.pinned")
    page.mouse.move(5, 5)
    assert thick_curves(page) == [page.locator("tr.pinned").get_attribute("data-agent")]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out(page: Any, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(300)  # plotly follows the window with a delay
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('#chart .main-svg').getBoundingClientRect().right") <= width
    if width > 400:
        # On a phone the table scrolls under its first column.
        assert page.evaluate("(t => t.scrollWidth <= t.clientWidth)(document.querySelector('.table'))")


def test_names_at_the_ends_of_curves_do_not_overlap(page: Any) -> None:
    page.click("[data-agent=lcmd]")
    boxes = page.locator("#chart .annotation-text").evaluate_all(
        "texts => texts.map(text => text.getBoundingClientRect()).map(box => [box.top, box.bottom])"
    )
    boxes.sort()
    assert len(boxes) >= 5
    assert all(above[1] <= below[0] + 3 for above, below in pairwise(boxes))

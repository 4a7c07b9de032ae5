"""The page works in a real browser: it draws, it follows the reader, it complains of nothing."""

import numpy as np
import pytest
from tests.show.chrome import chrome
from tests.show.walks import KINDS, gate, tokens, walk

from regard.show import walk_page

pytestmark = pytest.mark.slow

NUMBERS = """return Object.fromEntries([...document.querySelectorAll('[data-number]')]
    .map((node) => [node.dataset.number, Number(node.textContent.replace('−', '-'))]))"""
DRAWN = """return [...document.querySelectorAll('canvas')].map((canvas) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.some((value, i) => i % 4 === 3 && value > 0);
})"""
ARROW_RIGHT = "\ue014"


@pytest.fixture(scope="module")
def window():
    with chrome() as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_all_six_stages_are_drawn_without_a_complaint(window, kind, tmp_path):
    window.load(walk_page.write(KINDS[kind](), tmp_path / "walk.html"))
    sections = window.run(
        "return [...document.querySelectorAll('main section')].map(s => s.innerText.length)"
    )
    assert len(sections) == 6
    assert min(sections) > 80
    drawn = window.run(DRAWN)
    assert len(drawn) > 10
    assert all(drawn)
    assert window.complaints() == []


def test_numbers_are_those_of_the_walk_and_follow_a_click_and_a_key(window, tmp_path):
    site = tokens(prefix=1, bias=True)
    window.load(walk_page.write(walk(site), tmp_path / "walk.html"))

    def check(query):
        row, scores = site.row(0, query), site.scores(0, query)
        shown = window.run(NUMBERS)
        assert shown["weight"] == pytest.approx(row.max(), rel=1e-2)
        assert shown["score"] == pytest.approx(scores[row.argmax()], rel=1e-2, abs=1e-2)
        assert shown["entropy"] == pytest.approx(site.entropies(0)[query], rel=1e-2)
        channel = int(np.argsort(-np.abs(site.output[0]).mean(0), kind="stable")[0])
        assert shown["mixed"] == pytest.approx(site.output[0, query, channel], rel=2e-2, abs=1e-2)

    check(0)
    window.click("#picker", 0.6, 0.3)
    check(1 + 1 * 4 + 2)
    window.press(ARROW_RIGHT)
    check(1 + 1 * 4 + 3)
    window.press(ARROW_RIGHT)
    check(1 + 1 * 4 + 3)
    window.click(".prefix button", 0.5, 0.5)
    check(0)


def test_another_head_and_another_site_can_be_chosen(window, tmp_path):
    site = tokens()
    window.load(walk_page.write(walk(gate(), site), tmp_path / "walk.html"))
    choose = """const select = document.getElementById(arguments[0]); select.value = arguments[1];
        select.dispatchEvent(new Event('change'));"""
    window.run(choose, "head", 1)
    query = 2 * 4 + 2
    assert window.run(NUMBERS)["weight"] == pytest.approx(site.row(1, query).max(), rel=1e-2)
    window.run(choose, "site", 0)
    window.run("return new Promise((done) => setTimeout(done, 300))")
    channel = int(np.argsort(-np.abs(gate().value).mean((1, 2)), kind="stable")[0])
    assert window.run(NUMBERS)["weight"] == pytest.approx(gate().gate[channel, 0, 0], rel=1e-2)


def test_a_phone_needs_no_sideways_scrolling(tmp_path):
    with chrome((500, 900)) as phone:
        phone.load(walk_page.write(walk(gate(), tokens()), tmp_path / "walk.html"))
        width, seen = phone.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert width <= seen

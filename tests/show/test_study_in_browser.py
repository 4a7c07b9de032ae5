"""In a real browser: the table sorts, phones get their own figures, and all of them are drawn."""

import pytest
from tests.show import studies
from tests.show.chrome import chrome

from regard.show import study_report

pytestmark = pytest.mark.slow

SHOWN = """return [...document.querySelectorAll('.drawn img')].map((image) =>
    [image.complete && image.naturalWidth, image.getBoundingClientRect().width]);"""
NAMES = """return [...document.querySelectorAll('#variants tbody th')].map((head) =>
    [...head.childNodes].filter((part) => part.nodeName !== 'SMALL')
        .map((part) => part.textContent).join(''));"""
CLICK = """[...document.querySelectorAll('#variants thead button')]
    .find((button) => button.textContent === arguments[0]).click();"""


@pytest.fixture
def page(tmp_path):
    variants = studies.network(mechanisms=("eca", "simam", "cbam"))
    return study_report.write(studies.study(variants, pictures=2), tmp_path)["report.html"]


def test_a_click_sorts_the_table_by_its_column(page):
    with chrome() as window:
        window.load(page)
        assert window.run(NAMES)[:4] == ["none", "eca", "simam", "cbam"]
        window.run(CLICK, "latency")
        assert window.run(NAMES) == ["cbam", "simam", "resnet8(widths=(17, 33, 65))", "eca", "none"]
        assert window.complaints() == []


@pytest.mark.parametrize("width", [390, 1280])
def test_figures_are_drawn_and_fit_the_screen(page, width):
    with chrome(size=(width, 900)) as window:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        command = {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}
        window.ask("POST", "/goog/cdp/execute", command)
        window.load(page)
        shown = window.run(SHOWN)
        assert len(shown) == 3
        for natural, drawn in shown:
            assert (300 < natural < 400) if width == 390 else natural > 600
            assert 300 < drawn < width
        assert window.run("return document.documentElement.scrollWidth <= innerWidth")
        assert window.complaints() == []

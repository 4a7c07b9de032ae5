"""The page carries the walk's own numbers, stays under its size, and asks nothing of a network."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.show.walks import KINDS, LABELS, tokens, walk

from regard.core.errors import InputError
from regard.core.pipeline import TokenSite
from regard.show import walk_page
from regard.show.packing import unpack


def data_of(page):
    found = re.search(r'<script type="application/json" id="walk">(.*?)</script>', page, re.S)
    return json.loads(found[1])


class Addresses(HTMLParser):
    """Everything that a browser would fetch, and the text of every element."""

    def __init__(self):
        super().__init__()
        self.found, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [
            value for name, value in attrs if name in ("src", "href", "srcset", "action")
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fetched(kind):
    page = walk_page.render(KINDS[kind]())
    parser = Addresses()
    parser.feed(page)
    assert all(address.startswith(("data:", "#")) for address in parser.found)
    assert not re.search(r"url\(\s*['\"]?(?!data:)", page)
    assert "@import" not in page
    imports = re.search(r'<script type="importmap">(.*?)</script>', page, re.S)[1]
    modules = json.loads(imports)["imports"]
    assert all(address.startswith("data:text/javascript") for address in modules.values())


@pytest.mark.parametrize("options", [{}, {"bias": True, "prefix": 1}], ids=["plain", "bias"])
def test_rows_from_the_packed_queries_and_keys_are_those_of_the_walk(options):
    site = tokens(**options)
    (data,) = data_of(walk_page.render(walk(site)))["sites"]
    for head, carried in enumerate(data["heads"]):
        bias = unpack(carried["bias"])[None] if "bias" in carried else None
        rebuilt = TokenSite(
            "", "exact", None, None, scale=data["scale"], bias=bias,
            query=unpack(carried["query"])[None], key=unpack(carried["key"])[None],
        )  # fmt: skip
        worst = 0.0
        for query in range(site.shape[1]):
            row = site.row(head, query)
            error = np.abs(rebuilt.row(0, query) - row).max() / row.max()
            worst = max(worst, error)
        assert worst < 5e-3
        assert carried["deviation"] == pytest.approx(worst, rel=0.5), "what the page admits to"
        np.testing.assert_allclose(unpack(carried["entropies"]), site.entropies(head), rtol=1e-3)


def test_weighted_features_are_the_models_own():
    site = tokens()
    (data,) = data_of(walk_page.render(walk(site)))["sites"]
    for head, carried in enumerate(data["heads"]):
        expected = site.output[head].T[carried["channels"]]
        np.testing.assert_allclose(unpack(carried["output"]), expected, rtol=1e-3, atol=1e-4)


def test_probabilities_are_exact_on_and_off():
    found = KINDS["tokens"]()
    data = data_of(walk_page.render(found))
    for place, shown in enumerate(data["classes"]):
        index = LABELS.index(shown["label"])
        assert data["on"][place] == found.probabilities[index]
        assert data["sites"][0]["off"]["values"][place] == found.sites[0].off.probabilities[index]


def test_a_label_cannot_break_out_of_the_data():
    parser = Addresses()
    page = walk_page.render(KINDS["tokens"]())
    parser.feed(page)
    assert "b" not in parser.tags
    assert LABELS[2] in [shown["label"] for shown in data_of(page)["classes"]]


def test_what_does_not_fit_is_left_out_and_said():
    site = tokens(cells=12, heads=3, d=16)
    whole = len(walk_page.render(walk(site)).encode())
    page = walk_page.render(walk(site), limit=whole - 10_000)
    assert len(page.encode()) <= whole - 10_000
    data = data_of(page)
    assert 1 <= len(data["sites"][0]["heads"]) < 3
    assert any("of its 3 heads fit" in line for line in data["leftOut"])
    assert "of its 3 heads fit" in re.sub(r"<script.*?</script>", "", page, flags=re.S)


def test_a_limit_that_nothing_can_meet_is_an_error():
    with pytest.raises(InputError, match="more than the 10,000 allowed"):
        walk_page.render(walk(tokens()), limit=10_000)


def test_a_large_grid_of_a_vision_transformer_fits():
    site = tokens(cells=37, heads=1, d=64, prefix=1)
    page = walk_page.render(walk(*[site] * 8, size=518))
    assert 2_000_000 < len(page.encode()) <= 3_000_000


def test_the_file_is_written_whole(tmp_path):
    path = walk_page.write(walk(tokens()), tmp_path / "new" / "walk.html")
    assert path.read_text("utf-8") == walk_page.render(walk(tokens()))
    with pytest.raises(InputError, match="cannot write"):
        walk_page.write(walk(tokens()), path / "below-a-file.html")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("tokens", "cat <small>70.0 %</small>"),
        ("pixels", "cat <small>70.0 % of the pixels</small>"),
        ("boxes", "cat <small>70.0 % for its surest box</small>"),
    ],
)
def test_the_title_says_of_what_the_number_is(kind, said):
    assert said in walk_page.render(KINDS[kind]())

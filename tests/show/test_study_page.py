"""The study's page says all that was found, and asks nothing of a network."""

import base64
import html as markup
import json
import re

import pytest
from tests.show import studies
from tests.show.explanations import HOSTILE
from tests.show.test_report import Page

from regard.core.errors import InputError
from regard.show import study_page
from regard.show.self_contained import breakable
from regard.show.study_curves import curves
from regard.show.study_forest import forest
from regard.show.study_pareto import pareto

MECHANISMS = ("squeeze_excite", "eca", "cbam")


def small(**changes):
    return studies.study(studies.network(mechanisms=MECHANISMS), **changes)


@pytest.fixture(scope="module")
def page():
    return study_page.html(small())


def said(page):
    """Return the words of a page as a reader sees them."""
    body = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    bare = re.sub(r"<[^>]+>", " ", body.replace("<wbr>", ""))
    return " ".join(markup.unescape(bare).split())


def test_every_sentence_is_there_with_its_finding_and_first(page):
    words, variants = said(page), small()["variants"]
    for variant in variants[1:]:
        assert f"{variant['finding']} {variant['sentence']}" in words
    assert words.index(variants[1]["sentence"]) < words.index("Differences")


def test_every_number_is_there_rounded():
    one = studies.variant("eca", "attention", [0.8, 0.9], finding="gain", sentence="eca: better.")
    one |= {
        "summary": {"n": 2, "mean": 0.83214, "sd": 0.00212, "low": 0.82976, "high": 0.83452},
        "against_plain": studies.difference(
            [0.8, 0.9], [0.7, 0.7], mean=0.00214, low=0.0005, high=0.00368, bootstrap_low=0.0008,
            bootstrap_high=0.0034, effect_size=1.104, p=0.0625, p_corrected=0.1875, p_t=0.0101,
            equivalence_p=0.612, equivalent=True, seeds_needed=12,
            seeds_needed_low=5, seeds_needed_high=1234,
        ),
        "against_matched": studies.difference(
            [0.8, 0.9], [0.7, 0.6], mean=-0.0003, low=-12e-4, high=18e-4),
        "matched_by": "wide", "latency": 1.084, "flops": 12_512_345,
    }  # fmt: skip
    words = said(study_page.html(studies.study([one])))
    for number in (
        "83.21 % [82.98, 83.45] n = 2, sd 0.21", "+0.21 [0.05, 0.37] p 0.188, corrected",
        "−0.03 [−0.12, 0.18]", "78,042", "12.5 M", "1.08×",
        "eca over the plain network 2 +0.21 [0.05, 0.37] [0.08, 0.34] 1.10 0.0625 0.188 0.0101 "
        "0.612 yes 12 [5, 1,234]",
    ):  # fmt: skip
        assert number in words, number


def test_runs_that_diverged_are_counted_beside_the_mean(page):
    assert "diverged" not in said(page)
    found = small()
    found["variants"][1]["diverged"] = [5, 6]
    assert "n = 5, sd 0.31 2 diverged" in re.sub(
        r"sd 0\.\d\d", "sd 0.31", said(study_page.html(found))
    )


def test_where_there_is_no_bootstrap_interval_the_page_says_why():
    def told(n, low=None):
        one = studies.difference([0.8, 0.9], [0.7, 0.7], n=n, bootstrap_low=low, bootstrap_high=low)
        variant = studies.variant("eca", "attention", [0.8, 0.9], against_plain=one)
        return study_page.statistics(studies.study([variant]))[0][4]

    assert told(4) == "none below 5 seeds"
    assert told(5) == "none: most seeds are alike"
    assert told(5, 0.001) == "[0.10, 0.10]"
    words = said(study_page.html(small()))
    assert "it is given from 5 seeds on, and holds the truth in 94 to 97 %" in words


def test_the_margin_of_the_study_is_the_one_that_is_shown():
    words = said(study_page.html(small(margin=0.0125, effect=0.004)))
    assert "within ±1.25 seeds for ±0.4" in words
    assert "two one-sided t tests within ±1.25 points. Seeds: how many would show ±0.4" in words
    assert "no difference what lies within ±1.25 points" in words
    assert "±0.2" not in words


def test_notes_command_versions_hardware_seeds_and_recipe_are_shown(page):
    words = said(page)
    for expected in (
        "Note: seeds 5 to 9 were added after the test split was read: they are no new tuning.",
        "regard compare configs/cifar10_attention.py", "torch 2.13.0+cpu", "AMD EPYC, 1 threads",
        "seeds 0, 1, 2, 3, 4", "optimiser sgd", 'augment {"crop": 4}', "2026-11-23",
        "read once, on 2026-11-23; 10,000 images", "5 variants of 1 network, 5 seeds, 10 epochs",
    ):  # fmt: skip
        assert expected in words, expected


def test_the_figures_are_inside_for_wide_and_for_narrow_screens(page):
    found = small()
    kept = re.findall(r'(?:srcset|src)="data:image/svg\+xml;base64,([^"]+)"', page)
    drawn = [base64.b64decode(address).decode() for address in kept]
    assert drawn == [
        draw(found, narrow=narrow) for draw in (forest, curves, pareto) for narrow in (True, False)
    ]


def test_columns_sort_by_the_numbers_that_are_shown(page):
    variants = small()["variants"]
    rows = re.findall(r"<tr>.*?</tr>", page.split('<table id="variants">')[1], re.DOTALL)
    heads = re.findall(r'data-column="(\d+)"', rows[0])
    cells = [re.findall(r'data-value="(.*?)"', row) for row in rows[1:6]]
    assert heads == [str(place) for place in range(1, 8)]
    assert [row[0] for row in cells] == [str(one["summary"]["mean"]) for one in variants]
    assert [row[2] != "" for row in cells] == [False, True, False, True, False]
    assert [row[3] for row in cells] == [f"{one['parameters']:.1f}" for one in variants]


def test_long_names_break_between_words_and_are_escaped():
    assert breakable('multi_head(heads=4,key="a")@la<b') == (
        "multi_<wbr>head(<wbr>heads=<wbr>4,<wbr>key=<wbr>&#34;a&#34;)@<wbr>la&lt;b"
    )


def test_the_baseline_of_a_variant_breaks_between_its_words_too(page):
    assert "matched by resnet8(<wbr>widths=<wbr>(" in page


def test_pictures_stand_in_a_grid_with_their_verdicts(page):
    assert "Where they look" not in page
    found = small(pictures=2)
    del found["pictures"][1]["maps"][2]
    page = study_page.html(found)
    table = page.split('<table class="pictures">')[1].split("</table>")[0]
    assert re.findall(r'<th scope="col">(.*?)</th>', table.replace("<wbr>", "")) == [
        "image", "none", *MECHANISMS,
    ]  # fmt: skip
    rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)[1:]
    assert [row.count("<td>") for row in rows] == [4, 4]
    assert [row.count("no picture") for row in rows] == [0, 1]
    words = said(rows[0])
    reason = "deletion is better than that of 91 % of the controls"
    assert f"dog 83.1 % attention ◐ weak {reason}" in words
    assert "no better than chance" in words


def test_a_picture_must_be_inside_and_of_a_variant():
    found = small(pictures=1)
    found["pictures"][0]["maps"][0]["picture"] = "https://example.org/a.png"
    with pytest.raises(InputError, match="must be a data URI"):
        study_page.html(found)
    found = small(pictures=1)
    found["pictures"][0]["maps"][0]["variant"] = "stranger"
    with pytest.raises(InputError, match="resnet8 · stranger, which is no variant"):
        study_page.html(found)
    with pytest.raises(InputError, match="no variant"):
        study_page.html(studies.study([]))


def test_nothing_is_fetched_and_hostile_words_stay_words():
    variants = studies.network(HOSTILE, (HOSTILE, "b"))
    variants[1] |= {"sentence": HOSTILE, "matched_by": HOSTILE}
    found = studies.study(
        variants, pictures=1, name=HOSTILE, command=HOSTILE, hardware=HOSTILE, notes=[HOSTILE],
        recipe={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE}, metric=HOSTILE, data=HOSTILE,
        task=HOSTILE,
    )  # fmt: skip
    found["pictures"][0] |= {"label": HOSTILE}
    found["pictures"][0]["maps"][0] |= {"reason": HOSTILE, "predicted": HOSTILE, "method": HOSTILE}
    page = study_page.html(found)
    read = Page(page)
    assert all(address.startswith("data:") for address in read.addresses)
    assert not re.search(r"https?://", page)
    assert "onerror" not in dict(read.attributes)
    assert read.tags.count("script") == 2
    assert said(page).count(HOSTILE) >= 12
    assert "default-src 'none'" in dict(read.attributes)["content"]


def test_what_is_not_known_is_left_out():
    plain = studies.variant("none", "plain", [0.8], on_front=None, curves=None)
    plain |= dict.fromkeys(("parameters", "flops", "latency", "training_time"))
    found = studies.study(
        [plain], notes=None, date=None, test_read=None, test_images=None, match="none",
        recipe=None, versions=None, hardware=None,
    )  # fmt: skip
    words = said(study_page.html(found))
    assert "Nothing can be said" in words
    assert "1 variant of 1 network, 1 seed, 10 epochs on cifar10; no baselines." in words
    assert "not read" in words
    assert "None" not in words
    assert "Note:" not in words


def test_the_page_is_the_same_each_time_and_after_a_journey_through_json(page):
    assert study_page.html(json.loads(json.dumps(small()))) == page

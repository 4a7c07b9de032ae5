"""The study as Markdown says the same as the page, and shows hostile names as they are."""

import re

import pytest
from tests.show import studies
from tests.show.explanations import HOSTILE

from regard.show.study_markdown import FIGURES, literal, markdown

MECHANISMS = ("squeeze_excite", "eca", "cbam")


def small(**changes):
    return studies.study(studies.network(mechanisms=MECHANISMS), **changes)


def tables(text):
    """Return the cells of each table, row by row."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    split = re.compile(r"(?<!\\)\|")
    return [
        [[cell.strip() for cell in split.split(row)[1:-1]] for row in table.splitlines()]
        for table in found
    ]


def test_sentences_come_first_with_their_findings():
    found = small()
    text = markdown(found)
    for variant in found["variants"][1:]:
        assert f"- **{variant['finding']}:** {variant['sentence']}\n" in text
    assert text.index(found["variants"][1]["sentence"]) < text.index("![")


def test_the_table_has_every_variant_in_its_order():
    found = small()
    table, statistics = tables(markdown(found))
    assert {len(row) for row in table} == {11}
    assert [row[0].split(" (")[0] for row in table[2:6]] == ["none", *MECHANISMS]
    assert table[0][:3] == ["variant", "accuracy", "over plain"]
    assert table[2][6] == "**78,042**", "the plain network is on the front"
    assert re.fullmatch(r"83\.\d\d % \[8\d\.\d\d, 8\d\.\d\d\]", table[3][1])
    assert re.fullmatch(r"[+−]0\.\d\d \[−?0\.\d\d, −?0\.\d\d\]", table[3][2])
    assert {len(row) for row in statistics} == {12}
    assert len(statistics) == 2 + 6


def test_runs_that_diverged_are_counted():
    found = small()
    found["variants"][1]["diverged"] = [5, 6]
    table, _ = tables(markdown(found))
    assert [row[-1] for row in table[2:5]] == ["5", "5 (2 diverged)", "5"]


def test_the_margin_of_the_study_is_the_one_that_is_shown():
    text = markdown(small(margin=0.0125, effect=0.004))
    assert tables(text)[1][0][-2:] == ["within ±1.25", "seeds for ±0.4"]
    assert "- no difference: what lies within ±1.25 points\n" in text


def test_figures_notes_command_and_versions_are_there():
    text = markdown(small())
    assert re.findall(r"!\[[^\]]*\]\((.*?)\)", text) == list(FIGURES.values())
    assert "> **Note:** seeds 5 to 9 were added after" in text
    assert "```\nregard compare configs/cifar10_attention.py\n```" in text
    assert "- versions: regard 0.1.0, torch 2.13.0+cpu" in text
    assert "- seeds: 0, 1, 2, 3, 4\n" in text
    assert "http" not in text


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("squeeze_excite", "squeeze_excite"),
        ("_x_", r"\_x\_"),
        ("a|b", r"a\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[a](javascript:b)", r"[a\](javascript:b)"),
        ("+0.21 points [0.05, 0.37] over", "+0.21 points [0.05, 0.37] over"),
        ("a\n# b", "a # b"),
        ("`*$~", r"\`\*\$\~"),
        ("a & b", "a &amp; b"),
    ],
)
def test_words_are_shown_as_they_are(words, shown):
    assert literal(words) == shown


def test_hostile_words_break_neither_table_nor_block():
    hostile = HOSTILE + "|`\n\n# x"
    variants = studies.network(hostile, (hostile, "b"))
    variants[1] |= {"sentence": hostile, "matched_by": hostile}
    text = markdown(
        studies.study(variants, name=hostile, notes=[hostile], hardware=hostile, metric=hostile,
                      command="echo ````", recipe={hostile: hostile})
    )  # fmt: skip
    assert "<img" not in text
    assert "\n# x" not in text
    assert "\n`````\necho ````\n`````\n" in text
    assert {len(row) for row in tables(text)[0]} == {11}


def test_a_study_with_nothing_to_compare_says_so():
    text = markdown(studies.study([studies.variant("none", "plain", [0.8])], notes=None))
    assert "Nothing can be said" in text
    assert "All statistics" not in text
    assert "None" not in text


def test_pictures_are_in_the_page_and_the_text_says_so():
    assert "report.html" in markdown(studies.study(pictures=1))
    assert "report.html" not in markdown(small())

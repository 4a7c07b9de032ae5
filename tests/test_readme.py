"""The Python in README and docs runs as it stands."""

import re
from pathlib import Path

import pytest

from regard.attention import mechanisms
from regard.check import judge, metrics
from regard.core.verdict import LEVELS
from regard.explain import methods
from regard.show.verdict_mark import MARKS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *(
        DOCS / name
        for name in (
            *("own-mechanism.md", "data.md", "detection.md", "segmentation.md", "capture.md"),
            *("methods.md", "checking.md"),
        )
    ),
]
REGISTRIES = (mechanisms, methods, metrics)


def blocks(page):
    """Return a page's Python blocks, indented ones too."""
    found = re.findall(r"^( *)```python\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    return ["\n".join(line[len(indent) :] for line in code.split("\n")) for indent, code in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_the_page_runs(page):
    assert blocks(page)
    known = [set(registry) for registry in REGISTRIES]
    names = {"__name__": "page"}
    try:
        for code in blocks(page):
            exec(compile(code, str(page), "exec"), names)
    finally:
        for registry, before in zip(REGISTRIES, known, strict=True):
            for name in set(registry) - before:
                registry.remove(name)


def test_every_page_of_the_readme_exists():
    for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / link).exists(), link


def test_every_mechanism_is_in_the_docs():
    page = (ROOT / "docs" / "mechanisms.md").read_text()
    assert [name for name in mechanisms if f"`{name}`" not in page] == []


def test_every_method_is_in_the_docs():
    page = (ROOT / "docs" / "methods.md").read_text()
    assert [name for name in methods if f"`{name}`" not in page] == []


def test_every_method_has_a_picture_and_says_what_is_seen():
    page = (DOCS / "methods.md").read_text()
    pictures = dict(re.findall(r'<img src="([^"]+)" width="\d+" alt="([^"]+)">', page))
    assert len(pictures) == page.count("<img"), "each with words"
    named = {Path(picture).stem: words for picture, words in pictures.items()}
    assert set(named) == set(methods)
    assert all(words.startswith(f"{name} on a ") for name, words in named.items())
    assert sum((DOCS / picture).stat().st_size for picture in pictures) < 400_000


def test_every_metric_and_every_level_is_in_the_docs():
    page = (DOCS / "checking.md").read_text()
    for metric in metrics.values():
        assert f"| `{metric.name}` | {metric.family.replace('_', ' ')} | {metric.answers} " in page
    for level in LEVELS:
        assert f"| {MARKS[level].symbol} | `{level}` |" in page


def test_the_thresholds_in_the_docs_are_those_that_judge():
    page = " ".join((DOCS / "checking.md").read_text().split())
    for said in (
        f"with the new ones is above {judge._SAME_WITHOUT_WEIGHTS}",
        f"less than {100 * judge._SURE:.0f} %",
        f"{judge.PARTS} parts of the image",
        f"displaced {judge._CHEAP} times",
        f"better than {100 * (1 - judge._FAITHFUL):.0f} % of them to be `faithful`",
        f"than {100 * (1 - judge._CHANCE):.0f} % to be `weak`",
        f"correlation of {judge._SAME_FOR_ANOTHER_CLASS} both maps",
        f"correlation of {judge._SAME_AS_A_GUESS} with",
    ):
        assert said in page


def test_the_pictures_of_the_page_on_checking_are_there_and_small():
    page = (DOCS / "checking.md").read_text()
    pictures = re.findall(r'<img src="([^"]+)" width="\d+" alt="([^"]+)">', page)
    assert len(pictures) == page.count("<img") == 1
    assert (DOCS / pictures[0][0]).stat().st_size < 150_000

import pytest

from regard.attention.spec import parse_attention
from regard.core.errors import InputError


@pytest.mark.parametrize(
    ("text", "name", "place", "options"),
    [
        ("eca", "eca", None, {}),
        ("eca@layer3", "eca", "layer3", {}),
        ("eca@layer*.[01].bn2", "eca", "layer*.[01].bn2", {}),
        ("multi_head(num_heads=2)@layer3", "multi_head", "layer3", {"num_heads": 2}),
        (" eca ( gamma=1.5 , b=-1 ) @ layer3 ", "eca", "layer3", {"gamma": 1.5, "b": -1}),
        ("eca(b=None, gamma=True)", "eca", None, {"b": None, "gamma": True}),
        ('window(mode="a)@b", size=(2, 3))@x', "window", "x", {"mode": "a)@b", "size": (2, 3)}),
        ("eca()@x", "eca", "x", {}),
    ],
)
def test_reads_name_options_and_place(text, name, place, options):
    assert parse_attention(text) == (name, place, options)


@pytest.mark.parametrize(
    "text",
    ["", "@layer3", "eca@", "eca layer3", "eca(gamma=1", "eca)gamma=1(", "eca@a@(b)"],
)
def test_text_of_another_form_is_refused_with_the_form(text):
    with pytest.raises(InputError, match="write NAME, NAME@PLACE"):
        parse_attention(text)


@pytest.mark.parametrize(
    "options",
    [
        "2",
        "gamma=open('x')",
        "gamma=__import__('os').system('true')",
        "gamma=b",
        "**{'gamma': 1}",
        "gamma=1, gamma=2",
        "gamma=1)(b=2",
        "gamma=1) or (b=2",
        "gamma=",
        "gamma=[",
    ],
)
def test_options_are_literals_given_once_by_name(options):
    with pytest.raises(InputError, match="write each once, as name=value"):
        parse_attention(f"eca({options})@layer3")


def test_an_unknown_mechanism_is_answered_with_the_near_matches():
    with pytest.raises(InputError, match="unknown mechanism 'ecca'; did you mean eca"):
        parse_attention("ecca@layer3")

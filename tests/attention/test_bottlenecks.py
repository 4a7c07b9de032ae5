"""`reduction` and `min_width` set the width of every bottleneck, as documented."""

import pytest

from regard.attention import create, mechanisms
from regard.core.errors import InputError

# Where the first layer of each bottleneck is, and the paper's or the authors' defaults.
BOTTLENECKS = {
    "squeeze_excite": (["excite.0.weight"], 16, 8),
    "cbam": (["score_channels.0.weight"], 16, 8),
    "bam": (["score_channels.0.weight", "score_positions.0.weight"], 16, 8),
    "global_context": (["transform.0.weight"], 16, 8),
    "coordinate": (["mix.0.weight"], 32, 8),
    "selective_kernel": (["squeeze.0.weight"], 16, 32),
}


def widths(name, channels, **options):
    weights = create(name, channels, **options).state_dict()
    return {len(weights[layer]) for layer in BOTTLENECKS[name][0]}


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_a_bottleneck_is_as_wide_as_asked(name):
    _, reduction, min_width = BOTTLENECKS[name]
    assert widths(name, 2048) == {2048 // reduction}
    assert widths(name, 16) == {min_width}
    assert widths(name, 64, reduction=4, min_width=2) == {16}
    assert widths(name, 16, reduction=16, min_width=3) == {3}


@pytest.mark.parametrize("name", BOTTLENECKS)
@pytest.mark.parametrize("option", ["reduction", "min_width"])
def test_a_width_below_one_is_refused(name, option):
    with pytest.raises(InputError, match=f"{option} is 0"):
        create(name, 16, **{option: 0})


def test_every_mechanism_with_a_minimal_width_is_listed_here():
    with_minimum = {
        name
        for name, mechanism in mechanisms.items()
        if any("min_width" in options for options in mechanism.examples)
    }
    assert with_minimum == set(BOTTLENECKS)

"""An option that cannot be met is refused in one line that names it and what would do."""

import pytest

import regard.attention
from regard.core.errors import InputError


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("multi_head", {"num_heads": 3}, "num_heads is 3.*8 channels; choose from: 1, 2, 4, 8"),
        ("axial", {"num_heads": 5}, "num_heads is 5"),
        ("window", {"num_heads": 3}, "num_heads is 3"),
        ("linear", {"num_heads": 3}, "num_heads is 3"),
        ("external", {"num_heads": 3}, "num_heads is 3"),
        ("cross", {"num_heads": 3}, "num_heads is 3"),
        ("attention_pool", {"num_heads": 0}, "num_heads is 0"),
        ("multi_head", {"size": (0, 4)}, "size is 0"),
        ("axial", {"size": 0}, "size is 0"),
        ("window", {"window_size": 0}, "window_size is 0"),
        ("external", {"memory": 0}, "memory is 0"),
        ("non_local", {"pool": 0}, "pool is 0"),
        ("non_local", {"reduction": -1}, "reduction is -1"),
        ("non_local", {"pairwise": "gausian"}, "unknown pairwise 'gausian'.*gaussian"),
        ("linear", {"feature_map": "relu6"}, "unknown feature_map 'relu6'.*elu"),
        ("qk_gate", {"activation": "sigmoidal"}, "unknown activation.*sigmoid"),
        ("attention_pool", {"query": "men"}, "unknown query 'men'.*mean"),
        ("dot_product", {"width": 0}, "width is 0"),
        ("scaled_dot_product", {"width": 0}, "width is 0"),
        ("qk_gate", {"key_channels": 0}, "key_channels is 0"),
        ("cross", {"context_channels": 0}, "context_channels is 0"),
    ],
)
def test_refused(name, options, message):
    with pytest.raises(InputError, match=message) as caught:
        regard.attention.create(name, 8, **options)
    assert "\n" not in str(caught.value)

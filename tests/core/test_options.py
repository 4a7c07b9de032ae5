"""Options are read from signatures, and one that is not there is refused in one line."""

import pytest
import torch
from torch import nn

import regard.attention
from regard.check.case import Case
from regard.check.metric import metrics
from regard.core.errors import InputError
from regard.core.options import options_of
from regard.explain.explainer import methods
from regard.explain.targets import Score

IMAGES = torch.zeros(1, 3, 4, 4)
ANY = Score(lambda output, _image: output.sum(), ("any",))
CASE = Case(nn.Identity(), IMAGES, ANY)


def test_what_has_no_name_is_no_option():
    def taking(case, maps, /, *rest, areas=(), fill="mean", **more):
        """Take anything."""

    assert options_of(taking, given=2) == ("areas", "fill")


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda: methods["saliency"](nn.Identity(), IMAGES, ANY, cell=7),
            "method 'saliency' takes no options, got 'cell'",
        ),
        (
            lambda: metrics["gini"](CASE, IMAGES[0], cell=7),
            "metric 'gini' takes no options, got 'cell'",
        ),
        (
            lambda: regard.attention.create("squeeze_excite", 8, reductoin=7),
            "unknown squeeze_excite option 'reductoin'; did you mean reduction?",
        ),
        (
            lambda: methods["rise"](nn.Identity(), IMAGES, ANY, cell=7),
            "unknown rise option 'cell'; did you mean cells or fill?",
        ),
        (
            lambda: metrics["deletion"](CASE, IMAGES[0], step=7),
            "unknown deletion option 'step'; did you mean steps?",
        ),
    ],
)
def test_an_option_that_is_not_taken_is_refused(use, message):
    with pytest.raises(InputError) as error:
        use()
    assert str(error.value) == message

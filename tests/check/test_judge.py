"""True maps are called faithful, and each kind of false map by its name."""

import json
from dataclasses import replace

import pytest
import torch
from tests.check.planted import (
    SIZE,
    Indifferent,
    Planted,
    by_gradient,
    case,
    judged,
    picture,
    shifted,
    smooth_noise,
    truth,
)

from regard.check import metrics
from regard.check.controls import centre_prior, edges
from regard.check.judge import Judged, judge, measure
from regard.core.errors import InputError
from regard.core.seeding import RandomState
from regard.core.verdict import Verdict


def test_the_truth_is_faithful():
    verdict = judge(judged(truth(), explain=by_gradient))
    assert verdict.level == "faithful", verdict
    assert verdict["faithfulness_correlation"].p_value <= 0.04
    assert "displaced copies" in verdict.reason
    assert verdict.forwards <= 60


def test_the_truth_on_a_coarse_grid_is_faithful():
    coarse = torch.nn.functional.avg_pool2d(truth()[None, None], 4)[0, 0]
    assert judge(judged(coarse)).level == "faithful"


@pytest.mark.parametrize(
    "values", [shifted(truth()), truth(1), torch.ones(SIZE), torch.zeros(7, 7), -truth()]
)
def test_a_map_of_another_place_is_no_better_than_chance(values):
    assert judge(judged(values.double())).level == "no better than chance"


def test_few_random_maps_are_called_faithful():
    levels = [judge(judged(smooth_noise(seed), seed=seed)).level for seed in range(60)]
    # In the long run one in 25.
    assert levels.count("faithful") <= 6
    assert levels.count("no better than chance") >= 36


def test_what_the_model_has_no_part_in_is_weak():
    image = picture()
    image[:, :, 14:, :] = 0.05  # nothing rough but in the squares of the first and the third class
    image[:, :, :12, :12] = 0.05
    found = judge(judged(edges(image[0]), image=image))
    assert (found.level, "edges" in found.reason) == ("weak", True), found


def test_the_centre_of_the_picture_is_weak_where_the_model_looks_at_it():
    class Centred(torch.nn.Module):
        def forward(self, x):
            # Blurred, black and white become grey.
            middle = ((x - 0.5) ** 2 * centre_prior(SIZE)).sum((1, 2, 3)).float()
            return torch.stack([middle, -middle], 1)

    image = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(2)).round()
    found = judge(judged(centre_prior(SIZE), model=Centred(), image=image))
    assert (found.level, "centre" in found.reason) == ("weak", True), found


def test_a_method_that_never_asks_the_weights_is_told():
    found = judge(judged(truth(), explain=lambda _model, _image, _score: truth()))
    assert found.level == "ignores the weights", found
    assert found["weight_randomisation"].value == pytest.approx(1.0)


def every_class(model, _image, _score):
    """Follows the weights and not the class."""
    return model.weight.detach().abs().sum((0, 1))


def test_a_method_that_never_asks_for_the_class_is_told():
    asked = case(explain=every_class)
    found = judge(Judged(asked, truth(), 0.9))
    assert found.level == "faithful", "the map that is judged is the truth, and another class's not"
    found = judge(Judged(asked, every_class(asked.model, None, None).double(), 0.9))
    assert found.level in ("not class-specific", "weak"), found
    found = judge(replace(judged(truth(), explain=by_gradient), class_specific=False))
    assert (found.level, "every class" in found.reason) == ("not class-specific", True)


def test_the_same_map_for_another_class_is_not_class_specific():
    def both(model, _image, _score):
        return model.weight[0].detach().abs().sum(0)

    found = judge(judged(truth(), explain=both))
    assert found.level == "not class-specific", found
    assert found["class_contrast"].value == pytest.approx(1.0)


def test_an_unsure_model_leaves_it_undecided():
    found = judge(judged(shifted(truth()), confidence=0.1))
    assert (found.level, "unsure" in found.reason) == ("undecided", True)
    assert judge(judged(truth(), confidence=None)).level == "faithful", "without classes: no reason"


def test_a_model_that_looks_nowhere_leaves_it_undecided():
    levels = {
        judge(judged(truth(), model=Indifferent(), image=picture(seed), seed=seed)).level
        for seed in range(5)
    }
    assert levels <= {"undecided", "weak", "no better than chance"}
    assert "undecided" in levels


def test_ignoring_the_weights_counts_more_than_an_unsure_model():
    asked = judged(truth(), confidence=0.1, explain=lambda _model, _image, _score: truth())
    assert judge(asked).level == "ignores the weights"


def test_a_verdict_is_the_same_again_and_leaves_no_trace():
    asked = judged(smooth_noise(3), explain=by_gradient, seed=5)
    weights, before = asked.case.model.weight.detach().clone(), RandomState.now()
    first, second = judge(asked), judge(judged(smooth_noise(3), explain=by_gradient, seed=5))
    assert first.summary() == second.summary()
    assert RandomState.now().agrees_with(before)
    assert torch.equal(asked.case.model.weight, weights)
    assert not asked.case.model._forward_pre_hooks


def test_the_full_depth_measures_all_that_applies():
    found = judge(judged(truth(), explain=by_gradient, truth=truth() > 0), "full")
    measured = {m.metric for m in found.measurements}
    assert {"deletion", "insertion", "saco", "pointing_game", "noise_stability", "gini"} <= measured
    assert found["pointing_game"].value == 1.0
    assert found["deletion"].controls.count == 19
    assert found["infidelity"].controls.count == 399  # they cost no forward pass
    assert found["gini"].controls is None
    assert found.level == "faithful", found
    assert "pointing_game" not in {m.metric for m in judge(judged(truth()), "full").measurements}
    words = json.loads(json.dumps(found.summary()))
    assert Verdict.from_summary(words).summary() == words


def test_a_measurement_stands_beside_controls_and_maps_that_know_nothing():
    asked = judged(truth())
    found = measure(asked, metrics["faithfulness_correlation"])
    assert set(found.references) == {"centre prior", "edges", "random map"}
    assert found.controls.count == 399
    maps = torch.stack([truth(), edges(asked.case.image[0])])
    value, of_edges = metrics["faithfulness_correlation"](asked.case, maps).tolist()
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.references["edges"] == pytest.approx(of_edges, abs=1e-9)


def test_what_cannot_be_measured_is_noted():
    class Fixed(torch.nn.Module):
        def forward(self, x):
            return torch.einsum("bchw,kchw->bk", x, Planted().weight.detach())

    found = judge(judged(truth(), model=Fixed(), explain=by_gradient))
    assert found.level == "faithful", found
    assert any("no parameters" in note for note in found.notes)


def test_an_unknown_depth_is_refused():
    with pytest.raises(InputError, match="quick"):
        judge(judged(truth()), "deep")

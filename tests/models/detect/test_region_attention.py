"""The regions of interest of an image attend to one another, and to those of no other image."""

import pytest
import torch
from tests.models.detect.tiny import pictures, tiny
from tests.reference.models import detection as twin

import regard
from regard.core.errors import InputError
from regard.core.seeding import seeded
from regard.models.detect.region_attention import RegionAttention

MECHANISMS = ("multi_head(num_heads=2)", "squeeze_excite(reduction=4)", "cross(num_heads=2)")
every = pytest.mark.parametrize("attention", MECHANISMS)


def slot(name="multi_head", **options):
    """Return a slot for regions of 8 numbers whose mechanism counts in full, and is in float64."""
    with seeded(0):
        made = RegionAttention(8, 6)
        made.put(name, **options)
    if hasattr(made.attention, "gamma"):
        torch.nn.init.ones_(made.attention.gamma)
    return made.double()


def regions(count, seed=0):
    return torch.randn(count, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def contexts(count):
    random = torch.Generator().manual_seed(9)
    return torch.randn(count, 6, 2, 3, dtype=torch.float64, generator=random)


def head(attention, gamma=1.0):
    """Return the head of a small Faster R-CNN, its attention blended in by γ, and a pyramid."""
    network = tiny("faster_rcnn", attention=f"{attention}@rois")
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            torch.nn.init.constant_(parameter, gamma)
    # So that what the dense layers say shows in the logits.
    torch.nn.init.normal_(network.head.class_out.weight, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        pyramid = network.neck(network.backbone(pictures()[0]))
    return network.head, pyramid


def boxes(count, seed=0):
    corners = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(seed)).sort(1).values
    return (corners * 56).flatten(1) + torch.tensor([0.0, 0.0, 6.0, 6.0])


def test_twin():
    """Two images of 4 and 3 regions."""
    attend = slot(num_heads=2)
    weights = {k: v.numpy() for k, v in attend.attention.mechanism.state_dict().items()}
    given = regions(7)
    found = attend(given, [4, 3], contexts(2)).detach()
    expected = [twin.relation(weights, part.numpy(), 2) for part in given.split([4, 3])]
    torch.testing.assert_close(found, torch.cat([torch.from_numpy(each) for each in expected]))


@every
def test_no_image_learns_of_another(attention):
    attend, pyramid = head(attention)
    mine = boxes(5)
    other = [level.clone() for level in pyramid]
    for level in other:
        level[1] += torch.randn(level[1].shape, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        first, _ = attend(pyramid, [mine, boxes(3, seed=1)])
        second, _ = attend(other, [mine, boxes(7, seed=2)])
        alone, _ = attend([level[:1] for level in pyramid], [mine])
    assert torch.equal(first[:5], second[:5])
    torch.testing.assert_close(first[:5], alone)


@pytest.mark.parametrize("attention", MECHANISMS[:2])
def test_regions_of_one_image_learn_of_each_other(attention):
    attend, pyramid = head(attention)
    with torch.no_grad():
        many, _ = attend(pyramid, [boxes(5), boxes(3, seed=1)])
        fewer, _ = attend(pyramid, [boxes(5)[:4], boxes(3, seed=1)])
    assert (many[:4] - fewer[:4]).abs().amax() > 1e-3
    torch.testing.assert_close(many[5:], fewer[4:])


@every
def test_regions_in_another_order_are_answered_in_that_order(attention):
    attend, pyramid = head(attention)
    mine, theirs = boxes(6), boxes(4, seed=1)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        straight = attend(pyramid, [mine, theirs])
        shuffled = attend(pyramid, [mine[order], theirs])
    for said, again in zip(straight, shuffled, strict=True):
        torch.testing.assert_close(said[:6][order], again[:6])
        torch.testing.assert_close(said[6:], again[6:])


def test_a_context_is_the_coarsest_map_of_the_region_s_own_image():
    attend, around, given = slot("cross", num_heads=2), contexts(2), regions(5)
    before = attend(given, [2, 3], around)
    changed = around.clone()
    changed[1] *= -1
    after = attend(given, [2, 3], changed)
    torch.testing.assert_close(after[:2], before[:2])
    assert (after[2:] - before[2:]).abs().amax() > 1e-3
    network, pyramid = head("cross(num_heads=2)")
    with regard.capture(network) as captured, torch.no_grad():
        network(pyramid, [boxes(5), boxes(3, seed=1)])
    cells = pyramid[-1].shape[2] * pyramid[-1].shape[3]
    for record in captured.calls("relations.0.attention.mechanism"):
        assert record.operator.dense().shape[-1] == cells


def test_an_image_without_regions_is_passed_over():
    attend, given = slot(num_heads=2), regions(3)
    found = attend(given, [0, 3, 0], contexts(3))
    torch.testing.assert_close(found, attend(given, [3], contexts(1)))
    assert attend(given[:0], [0, 0], contexts(2)).shape == (0, 8)


def test_capture_sees_who_attends_to_whom_image_by_image():
    attend, pyramid = head("multi_head(num_heads=2)")
    with regard.capture(attend) as captured, torch.no_grad():
        attend(pyramid, [boxes(5), boxes(3, seed=1)])
    assert list(captured) == [f"relations.{layer}.attention.mechanism" for layer in (0, 1)]
    for site in captured:
        rows = [record.operator.dense() for record in captured.calls(site)]
        assert [tuple(each.shape) for each in rows] == [(1, 2, 5, 5), (1, 2, 3, 3)]
        for each in rows:
            torch.testing.assert_close(each.sum(-1), torch.ones(each.shape[:-1]))
    assert max(captured.verify().values()) < 1e-5


def test_gradients_flow_from_a_region_to_the_others_of_its_image_only():
    attend, given = slot(num_heads=2), regions(6).requires_grad_()
    (gradient,) = torch.autograd.grad(attend(given, [4, 2], contexts(2))[1].sum(), given)
    assert (gradient[:4].abs().amax(1) > 0).all()
    assert not gradient[4:].any()


def test_training_reaches_its_weights_once_it_is_blended_in():
    images, truth = pictures()
    network = tiny("faster_rcnn", attention="multi_head(num_heads=2)@rois").train()

    def gradients():
        network.zero_grad()
        with seeded(0):
            sum(network(images, truth).values()).backward()
        own = network.head.relations.named_parameters()
        return {name: float(parameter.grad.abs().sum()) for name, parameter in own}

    first = gradients()
    assert all(value > 0 for name, value in first.items() if name.endswith("gamma"))
    assert sum(name.endswith("gamma") for name in first) == 2
    for relation in network.head.relations:
        torch.nn.init.constant_(relation.attention.gamma, 0.5)
    assert all(value > 0 for value in gradients().values())


def test_it_changes_nothing_at_first_and_no_other_weight():
    images, _ = pictures()
    plain = tiny("faster_rcnn")
    network = tiny("faster_rcnn", attention="multi_head(num_heads=2)@rois")
    torch.testing.assert_close(network.raw(images), plain.raw(images), rtol=0, atol=0)
    assert not network.load_state_dict(plain.state_dict(), strict=False).unexpected_keys


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("window", {"num_heads": 2}),
        ("triplet", {}),
        ("cbam", {"reduction": 4}),
        ("multi_head", {"num_heads": 2, "position_bias": True}),
        ("attention_gate", {}),
    ],
)
def test_what_depends_on_the_order_of_regions_is_refused(name, options):
    with pytest.raises(InputError, match=r"the regions of an image have no order; put it @head"):
        RegionAttention(8, 6).put(name, **options)


def test_weights_that_start_at_zero_hide_no_order():
    """A depthwise convolution along the row, which does nothing until it is trained."""

    class Late(torch.nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.mix = torch.nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
            torch.nn.init.zeros_(self.mix.weight)

        def forward(self, x):
            return x + self.mix(x)

    regard.attention.register("late", kind="gate", paper="none")(Late)
    try:
        with pytest.raises(InputError, match="no order"):
            RegionAttention(8, 6).put("late")
    finally:
        regard.attention.mechanisms.remove("late")


def test_the_other_refusals():
    with pytest.raises(InputError, match="returns a vector"):
        RegionAttention(8, 6).put("attention_pool")
    for name in ("yolo", "retinanet"):
        with pytest.raises(InputError, match=r"has no regions of interest.*faster_rcnn"):
            tiny(name, attention="multi_head@rois")

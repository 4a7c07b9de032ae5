"""What every detector must do, whatever its places are."""

import pytest
import torch
from tests.models.detect.tiny import BACKBONE, NAMES, learn, learned, pictures, tiny
from tests.reference.core import boxes as box_twin
from tests.reference.models import detection as twin

import regard
from regard.attention import mechanisms
from regard.core.boxes import iou
from regard.core.errors import InputError
from regard.core.seeding import generator, seeded
from regard.models import NetworkSpec, build
from regard.models.detect import Raw, Selection

every = pytest.mark.parametrize("name", NAMES)


@every
def test_it_learns_to_find_the_boxes_of_a_batch(name):
    images, truth = pictures()
    detector = learned(name)
    with torch.no_grad():
        found = detector(images)
    for seen, true in zip(found, truth, strict=True):
        for box, label in zip(true["boxes"], true["labels"], strict=True):
            best = int((seen["scores"] * (seen["labels"] == label)).argmax())
            assert float(iou(seen["boxes"][best : best + 1], box[None])) > 0.5


@every
def test_detections_are_sure_first_inside_the_image_and_apart(name):
    images, _ = pictures()
    detector = tiny(name)
    detector.selection = Selection(score=0.0, overlap=0.3, most=7)
    for seen in detector(images):
        assert len(seen["boxes"]) <= 7
        assert (seen["scores"].diff() <= 0).all()
        assert seen["boxes"].min() >= 0
        assert seen["boxes"].max() <= 64
        for label in seen["labels"].unique():
            mine = seen["boxes"][seen["labels"] == label]
            assert (iou(mine, mine) - torch.eye(len(mine))).max() <= 0.3


@every
def test_an_image_is_seen_the_same_in_any_batch(name):
    images, _ = pictures()
    detector = learned(name)
    with torch.no_grad():
        together, alone = detector(images), detector(images[1:])
    count = min(len(together[1]["scores"]), 5)
    torch.testing.assert_close(together[1]["boxes"][:count], alone[0]["boxes"][:count])


@every
def test_an_image_without_boxes_teaches_that_nothing_is_there(name):
    images, _ = pictures()
    none = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}] * 2
    detector = learned(name)
    with torch.no_grad():
        before = detector.raw(images).logits.sigmoid().amax()
    learn(detector, images, none, steps=10, lr=1e-2)
    with torch.no_grad():
        after = detector.raw(images).logits.sigmoid().amax()
    assert after < 0.5 * before


@every
def test_what_is_said_of_a_place_has_gradients(name):
    images, _ = pictures()
    detector = learned(name)
    images.requires_grad_(True)
    raw = detector.raw(images)
    assert raw.logits.shape[2] == 2
    assert raw.boxes.shape == (*raw.logits.shape[:2], 4)
    best = raw.logits[0].flatten().argmax()
    (gradient,) = torch.autograd.grad(raw.logits[0].flatten()[best], images)
    assert gradient[0].any()


@every
def test_scores_are_the_sigmoid_of_what_is_said(name):
    images, _ = pictures()
    detector = learned(name)
    with torch.no_grad():
        raw, found = detector.raw(images), detector(images)
    assert float(found[0]["scores"][0]) == pytest.approx(float(raw.logits[0].sigmoid().amax()))


@every
def test_training_is_decided_by_the_seed(name):
    def weights(seed):
        images, truth = pictures()
        detector = tiny(name, seed=seed)
        learn(detector, images, truth, steps=2)
        return torch.cat([p.detach().flatten() for p in detector.parameters()])

    first = weights(0)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_the_sampling_comes_from_torch_s_generator():
    images, truth = pictures()
    detector = tiny("faster_rcnn").train()

    def losses(seed):
        with seeded(seed):
            return torch.stack(list(detector(images, truth).values()))

    assert torch.equal(losses(1), losses(1))
    assert not torch.equal(losses(1), losses(2))


@every
@pytest.mark.parametrize("part", ["backbone", "neck", "head"])
@pytest.mark.parametrize(
    ("mechanism", "options"),
    [
        ("squeeze_excite", ""),
        pytest.param("multi_head", "(num_heads=2)", marks=pytest.mark.slow),
    ],
)
def test_every_mechanism_of_one_map_has_a_place_in_every_part(name, part, mechanism, options):
    images, truth = pictures()
    plain = sum(p.numel() for p in tiny(name).parameters())
    detector = tiny(name, attention=f"{mechanism}{options}@{part}").train()
    module = mechanisms[mechanism].module
    places = [n for n, m in detector.named_modules() if isinstance(m, module)]
    assert places
    assert all(place.startswith(part) for place in places)
    assert sum(p.numel() for p in detector.parameters()) > plain
    sum(detector(images, truth).values()).backward()


@every
@pytest.mark.parametrize("part", ["neck", "head"])
def test_cross_attention_reads_another_map(name, part):
    images, _ = pictures()
    detector = tiny(name, attention=f"cross(num_heads=2)@{part}")
    with regard.capture(detector) as captured, torch.no_grad():
        detector(images)
    sites = [site for site in captured if site.startswith(part)]
    assert sites
    record = captured[sites[0]]
    rows = record.operator.dense()
    assert rows.shape[-2] != rows.shape[-1] or part == "head"
    torch.testing.assert_close(rows.sum(-1), torch.ones(rows.shape[:-1]))


@every
def test_a_mechanism_that_is_blended_in_changes_nothing_at_first(name):
    images, _ = pictures()
    plain = tiny(name).raw(images)
    for attention in ("multi_head(num_heads=2)@neck", "cross(num_heads=2)@head"):
        torch.testing.assert_close(tiny(name, attention=attention).raw(images), plain)


@every
def test_two_maps_in_the_backbone_are_refused(name):
    with pytest.raises(InputError, match=r"takes a second map has no place at 'backbone'"):
        tiny(name, attention="cross@backbone")


@every
@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ([], r"2 images came with the truth of 0"),
        (
            [{"boxes": torch.zeros(1, 4), "labels": torch.tensor([2])}] * 2,
            r"labels from 2 to 2 for a detector of 2 classes",
        ),
        (
            [{"boxes": torch.zeros(1, 4), "labels": torch.tensor([0, 1])}] * 2,
            r"boxes of shape \(1, 4\) with 2 labels",
        ),
    ],
)
def test_truth_that_does_not_fit(name, truth, words):
    with pytest.raises(InputError, match=words):
        tiny(name)(pictures()[0], truth)


@every
def test_fewer_levels_than_the_backbone_has_leave_the_coarsest_out(name):
    """Of strides 8, 16 and 32 the first two: the largest boxes that an anchor fits are gone."""
    images, truth = pictures()
    detector = tiny(name, levels=2)
    strides = detector.proposals.strides if name == "faster_rcnn" else detector.strides
    assert tuple(strides) == (8, 16)
    if name != "faster_rcnn":
        anchors = 9 if name == "retinanet" else 1
        assert detector.raw(images).logits.shape[1] == anchors * (8 * 8 + 4 * 4)
    sum(detector.train()(images, truth).values()).backward()


@every
def test_options_that_do_not_exist(name):
    with pytest.raises(InputError, match="colour"):
        build(NetworkSpec(name, 2, None, {"backbone": BACKBONE, "colour": 1}), task="detect")


# Anchors of the boxes' size: of larger ones, many would overlap a box by just as much.
FEW_ANCHORS = {"levels": 2, "anchor": 1.5, "ratios": (0.7, 1.0), "scales": (1.0,)}


def small_pictures():
    images, truth = pictures(side=32)
    return images, [{**one, "boxes": one["boxes"] / 2} for one in truth]


def few_anchors():
    # tiny's pyramid begins at stride 8: 4 × 4 and 2 × 2 cells.
    return [
        box
        for rows, stride in ((4, 8), (2, 16))
        for box in twin.anchors(rows, rows, stride, 1.5 * stride, (0.7, 1.0), (1.0,)).tolist()
    ]


@pytest.mark.parametrize(
    ("loss", "alpha", "gamma"), [("focal", 0.25, 2.0), ("cross_entropy", None, 0.0)]
)
def test_the_class_loss_of_retinanet_is_that_of_every_counted_anchor(loss, alpha, gamma):
    """Twin, anchor by anchor; cross-entropy is focal loss with γ = 0 and no α."""
    images, truth = small_pictures()
    network = tiny("retinanet", loss=loss, **FEW_ANCHORS)
    torch.nn.init.normal_(network.head.class_out.weight, generator=generator(5))
    sums, positives = 0.0, 0
    with torch.no_grad():
        logits = network.raw(images).logits.double()
        found = network(images, truth)["classes"]
    for said, one in zip(logits.tolist(), truth, strict=True):
        answers = twin.match(one["boxes"].tolist(), few_anchors(), 0.4, 0.5, best=True)
        for answer, numbers in zip(answers, said, strict=True):
            positives += answer >= 0
            for label, logit in enumerate(numbers if answer != -2 else ()):
                target = int(answer >= 0 and int(one["labels"][answer]) == label)
                sums += twin.focal_loss(logit, target, alpha, gamma)
    assert positives > 2
    assert float(found) == pytest.approx(sums / positives, rel=1e-4)


def missed(kind, said, box, anchor):
    """Return the loss of one box that is said for an anchor."""
    if kind == "giou":
        return 2 * (1 - box_twin.giou(said, box))
    apart = [
        abs(a - b)
        for a, b in zip(twin.offsets(said, anchor), twin.offsets(box, anchor), strict=True)
    ]
    return sum(9 * each**2 / 2 if each < 1 / 9 else each - 1 / 18 for each in apart)


@pytest.mark.parametrize("kind", ["smooth_l1", "giou"])
def test_the_box_loss_of_retinanet_is_that_of_the_anchors_that_answer(kind):
    images, truth = small_pictures()
    network = tiny("retinanet", box_loss=kind, **FEW_ANCHORS)
    torch.nn.init.normal_(network.head.box_out.weight, std=0.1, generator=generator(6))
    with torch.no_grad():
        boxes = network.raw(images).boxes.double()
        found = network(images, truth)["boxes"]
    losses = []
    for said, one in zip(boxes.tolist(), truth, strict=True):
        wanted = one["boxes"].tolist()
        answers = twin.match(wanted, few_anchors(), 0.4, 0.5, best=True)
        losses += [
            missed(kind, mine, wanted[answer], anchor)
            for answer, mine, anchor in zip(answers, said, few_anchors(), strict=True)
            if answer >= 0
        ]
    assert len(losses) > 2
    assert float(found) == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_losses_of_retinanet_that_cannot_be_meant():
    with pytest.raises(InputError, match="loss"):
        tiny("retinanet", loss="hinge")
    with pytest.raises(InputError, match="box_loss"):
        tiny("retinanet", box_loss="iou")
    for given in ({"gamma": 1.0}, {"alpha": None}):
        with pytest.raises(InputError, match=r"focal loss's; leave them out"):
            tiny("retinanet", loss="cross_entropy", **given)


def test_selection_by_hand():
    """Of two boxes that overlap the surer stays, one of another class beside them too."""
    boxes = torch.tensor([[[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 90, 90.0]]])
    logits = torch.tensor([[[2.0, -9.0], [1.0, 0.5], [-9.0, 3.0]]])
    (found,) = Selection(score=0.01)(Raw(logits, boxes), (64, 80))
    assert found["labels"].tolist() == [1, 0, 1]
    torch.testing.assert_close(found["scores"], torch.tensor([3.0, 2.0, 0.5]).sigmoid())
    assert found["boxes"][0].tolist() == [50, 50, 80, 64]

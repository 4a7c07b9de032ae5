"""The ground truth of the scenes is exact: above all, the region that decides the label."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from regard.core.errors import InputError
from regard.data import scenes
from regard.data.scene_painter import SHAPES, TEXTURES, coverage
from regard.data.scenes import render


@pytest.fixture(scope="module")
def made():
    return scenes.make(200, size=32, seed=5)


@pytest.fixture(scope="module")
def plan(made):
    return next(made.recipe.plans())


def label_of(target):
    """Read the class off what is painted: the target's shape and texture."""
    names = zip(target.texture.tolist(), target.shape.tolist(), strict=True)
    words = [f"{TEXTURES[texture].__name__} {SHAPES[shape].__name__}" for texture, shape in names]
    return torch.tensor([scenes.CLASSES.index(word) for word in words])


def rolled(plan, part):
    """Exchange one part of the plan with the next scene's."""
    if part == "target":
        return replace(plan, target=rolled_objects(plan.target))
    return replace(
        plan,
        ground=plan.ground.roll(1, 0),
        grain=plan.grain.roll(1, 0),
        distractors=tuple(rolled_objects(objects) for objects in plan.distractors),
    )


def rolled_objects(objects):
    return replace(objects, **{name: part.roll(1, 0) for name, part in vars(objects).items()})


def test_label_is_the_targets_shape_and_texture(made, plan):
    assert made.labels.equal(label_of(plan.target))
    assert made.labels.bincount(minlength=10).min() > 0


def test_outside_the_region_nothing_depends_on_the_target(made, plan):
    """Another target changes the label, and no pixel outside the two regions."""
    exchanged = rolled(plan, "target")
    images = render(exchanged)
    either = made.regions | made.regions.roll(1, 0)
    changed = (images != made.images).any(1)
    assert not (changed & ~either).any()
    assert label_of(exchanged.target).equal(made.labels.roll(1, 0))


def test_inside_the_region_nothing_else_shows(made, plan):
    """Another background and other distractors change neither the label nor a covered pixel."""
    exchanged = rolled(plan, "rest")
    images = render(exchanged)
    covered = coverage(plan.target, 32) == 1
    changed = (images != made.images).any(1)
    assert not (changed & covered).any()
    assert changed[~made.regions].float().mean() > 0.9
    assert label_of(exchanged.target).equal(made.labels)


def test_without_target(made):
    """Equal outside the region, and different inside it almost everywhere: it is no larger."""
    empty = made.without_target()
    differs = (empty != made.images).any(1)
    assert not (differs & ~made.regions).any()
    assert differs[made.regions].float().mean() > 0.97


def test_masks_and_boxes(made):
    assert not (made.masks & ~made.regions).any()
    for mask, box in zip(made.masks.numpy(), made.boxes.tolist(), strict=True):
        rows, cols = np.nonzero(mask)
        assert box == [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]


def test_objects_are_apart_and_inside_the_frame(plan):
    everything = coverage(plan.target, 32) > 0
    for objects in plan.distractors[-2:]:
        covered = coverage(objects, 32) > 0
        assert not (covered & everything).any()
        everything |= covered
    border = torch.ones(32, 32, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert not (everything & border).any()


def test_distractors_and_colours_say_nothing_of_the_label():
    """No statistic of the surroundings varies with the class by more than chance."""
    recipe = scenes.make(1, seed=2).recipe
    plans = list(replace(recipe, count=2000).plans())
    labels = torch.cat([plan.labels for plan in plans])
    clues = {
        "distractor's shape": torch.cat([plan.distractors[-2].shape for plan in plans]),
        "bar's texture": torch.cat([plan.distractors[-1].texture for plan in plans]),
        "distractor is there": torch.cat([plan.distractors[-2].radius for plan in plans]) > 0,
        "hue": torch.cat([plan.target.colours[:, 0].argmax(1) for plan in plans]),
        "place": torch.cat([(plan.target.row / 8).long() for plan in plans]),
        "background": torch.cat([plan.ground.mean((2, 3)).argmax(1) for plan in plans]),
    }
    for name, clue in clues.items():
        table = np.zeros((10, int(clue.max()) + 1))
        np.add.at(table, (labels.numpy(), clue.long().numpy()), 1)
        table = table[:, table.sum(0) > 0]
        expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
        chi_squared = ((table - expected) ** 2 / expected).sum()
        freedom = 9 * (table.shape[1] - 1)
        assert chi_squared < freedom + 4 * np.sqrt(2 * freedom), name


@pytest.mark.parametrize(("shape", "area"), [("disc", 2.433), ("square", 2.434)])
def test_coverage_is_the_true_area(shape, area):
    """Antialiasing neither gains nor loses area: π·0.88² and (2·0.78)² times the radius squared."""
    made = scenes.make(100, size=128, classes=(f"striped {shape}", f"checked {shape}"), seed=1)
    target = next(made.recipe.plans()).target
    measured = coverage(target, 128).sum((1, 2)) / target.radius**2
    torch.testing.assert_close(measured, torch.full((100,), area), rtol=0.01, atol=0)


@pytest.mark.parametrize(
    ("classes", "decides", "open_part"),
    [(("ring", "cross"), "shape", "texture"), (("checked", "striped"), "texture", "shape")],
)
def test_one_cue_alone(classes, decides, open_part):
    made = scenes.make(300, classes=classes, seed=0)
    target = next(made.recipe.plans()).target
    names = [kind.__name__ for kind in (SHAPES if decides == "shape" else TEXTURES)]
    for label, name in enumerate(classes):
        chosen = made.labels == label
        assert set(getattr(target, decides)[chosen].tolist()) == {names.index(name)}
        assert len(getattr(target, open_part)[chosen].unique()) > 1


def test_seeds_and_counts():
    first = scenes.make(7, seed=0)
    again = scenes.make(503, seed=0)
    other = scenes.make(7, seed=1)
    assert first.images.equal(again.images[:7])
    assert first.labels.equal(again.labels[:7])
    assert len(again) == 503
    assert not first.images.equal(other.images)
    assert not again.images[500:503].equal(again.images[:3])


def test_global_random_state_stays():
    before = torch.get_rng_state()
    scenes.make(2)
    assert torch.get_rng_state().equal(before)


def test_as_dataset():
    made = scenes.make(3)
    dataset = made.as_dataset("x")
    assert dataset.images is made.images
    assert dataset.classes == scenes.CLASSES
    assert dataset.name == "x"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0; give at least 1"),
        ({"size": 8}, "size=8; give at least 24"),
        ({"seed": -1}, "seed=-1"),
        ({"clutter": -1}, "clutter=-1"),
        ({"classes": ("disk", "ring")}, "unknown scene class 'disk'; did you mean disc"),
        ({"classes": ("disc",)}, "two or more"),
        ({"classes": ("disc", "disc")}, "two or more different"),
        ({"classes": ("disc", "striped ring")}, "all of them shapes"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        scenes.make(**({"n": 1} | options))


@pytest.mark.slow
def test_a_small_network_learns_them_from_the_target_alone():
    """≥ 99 % on unseen scenes, the same on other backgrounds, and chance without the target."""
    from torch import nn
    from torch.nn import functional as F

    from regard.core.seeding import seeded
    from regard.data import Augment, Batches

    def block(inputs, outputs, stride=1):
        convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

    batches = Batches(
        scenes.make(20_000, seed=1).as_dataset(), 128, augment=Augment(0), drop_last=True
    )
    test = scenes.make(1000, seed=3)
    with seeded(0):
        network = nn.Sequential(
            *(block(3, 32), block(32, 48, 2), block(48, 96), block(96, 128, 2), block(128, 128)),
            *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(128, 10)),
        )
    optimiser = torch.optim.SGD(
        network.parameters(), 0.2, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    epochs = 6
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.2, epochs * len(batches))
    for epoch in range(epochs):
        for images, labels in batches.epoch(epoch):
            optimiser.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimiser.step()
            schedule.step()
    network.eval()

    def accuracy(images):
        with torch.no_grad():
            return (network(images / 255).argmax(1) == test.labels).float().mean()

    backgrounds = test.without_target().roll(1, 0)
    assert accuracy(test.images) >= 0.99
    assert accuracy(torch.where(test.regions[:, None], test.images, backgrounds)) >= 0.98
    assert accuracy(test.without_target()) <= 0.15

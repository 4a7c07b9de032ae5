"""Synthetic scenes of which everything is known, also which pixels decide the label.

Each scene holds one target: a shape filled with a texture, which together name its class
("striped disc"). Around it are distractors, drawn independently of the label and from the same
colours: plain objects of the classes' shapes, textured bars, and small clutter. So neither
colour, nor a shape alone, nor a texture alone gives the label away, and an explanation of a
good classifier has one right answer: the target's pixels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from regard.core.errors import InputError, unknown_name
from regard.core.seeding import generator
from regard.core.shapes import Labels, RawImages
from regard.data.dataset import ImageDataset
from regard.data.scene_painter import REACH, SHAPES, TEXTURES, Objects, coverage, paint

_SHAPES = tuple(shape.__name__ for shape in SHAPES[:5])
_TEXTURES = tuple(texture.__name__ for texture in TEXTURES[1:])
_BAR = len(SHAPES) - 1

CLASSES = tuple(f"{texture} {shape}" for texture in _TEXTURES for shape in _SHAPES)
"""The ten classes: each texture with each shape."""

SMALLEST = 24
"""Below this many pixels a texture can no longer be seen."""

# Scenes are drawn in blocks of this many, so that the first scenes do not depend on how many
# are asked for, and memory stays small.
_BLOCK = 500
_STREAM = 7
_CANDIDATES = 64
# Pixels between an object's corner and the frame: the blended edge of a triangle's corner
# reaches 1 pixel out, and a pixel's centre lies half a pixel inside the frame.
_CLEARANCE = 1.5


@dataclass(frozen=True, eq=False)
class Scenes:
    """Scenes with their ground truth; made by `make`.

    Attributes:
        images: (n, 3, size, size), uint8.
        labels: (n,), int64, indices into `classes`.
        boxes: (n, 4), the target's xyxy in pixels, exclusive at the end.
        masks: (n, size, size), True where the target covers at least half of the pixel.
        regions: (n, size, size), True where the pixel depends on the target at all: the region
            that decides the label.
        classes: the names of the classes.
        recipe: what `make` was called with.

    """

    images: RawImages
    labels: Labels
    boxes: Int64[Tensor, "scene 4"]
    masks: Bool[Tensor, "scene height width"]
    regions: Bool[Tensor, "scene height width"]
    classes: tuple[str, ...]
    recipe: "Recipe"

    def __len__(self) -> int:
        return len(self.labels)

    def as_dataset(self, name: str = "scenes") -> ImageDataset:
        """Return images and labels as a data set for training."""
        return ImageDataset(self.images, self.labels, self.classes, name)

    def without_target(self) -> RawImages:
        """Return the same scenes with the target left out.

        They are equal to `images` outside of `regions`, exactly, and say nothing of the label.
        """
        empty = [
            render(replace(plan, target=_removed(plan.target))) for plan in self.recipe.plans()
        ]
        return torch.cat(empty)


@dataclass(frozen=True)
class Plan:
    """What is to be painted, for a block of scenes, from back to front.

    Attributes:
        ground: (scene, 3, 4, 4), the colours of the background, to be blended smoothly.
        grain: (scene, 1, size, size), added to the background.
        distractors: the clutter and other objects.
        target: the object that decides the label.
        labels: the classes.

    """

    ground: Float[Tensor, "scene 3 4 4"]
    grain: Float[Tensor, "scene 1 size size"]
    distractors: tuple[Objects, ...]
    target: Objects
    labels: Labels


@dataclass(frozen=True)
class Recipe:
    """What the scenes are made of; see `make`."""

    count: int
    size: int
    classes: tuple[str, ...]
    seed: int
    distractors: int
    clutter: int

    def plans(self) -> Iterator[Plan]:
        """Yield the plans of all scenes, block by block."""
        for block in range(math.ceil(self.count / _BLOCK)):
            wanted = min(_BLOCK, self.count - block * _BLOCK)
            yield _first(_plan(self, block), wanted)


def make(
    n: int,
    size: int = 32,
    classes: Sequence[str] = CLASSES,
    seed: int = 0,
    *,
    distractors: int = 2,
    clutter: int = 6,
) -> Scenes:
    """Make `n` scenes. Scene i depends on everything but `n`.

    Args:
        n: how many.
        size: height and width in pixels, at least 24.
        classes: what decides the label: texture and shape (`"striped disc"`), the shape alone
            (`"disc"`; the texture is then random) or the texture alone (`"checked"`; the shape
            is then random). The classes must all be of one of the three kinds.
        seed: two seeds give unrelated scenes.
        distractors: objects beside the target; every other one is a textured bar, the rest
            are plain shapes. One that finds no free place is left out.
        clutter: small dots, drawn behind the objects.

    Raises:
        InputError: an unknown class, classes of different kinds, fewer than two, or a number
            that is too small.

    Example:
        >>> scenes = make(100, size=32, seed=0)
        >>> scenes.images.shape, scenes.regions.shape
        (torch.Size([100, 3, 32, 32]), torch.Size([100, 32, 32]))

    """
    for name, value, least in (
        ("n", n, 1),
        ("size", size, SMALLEST),
        ("seed", seed, 0),
        ("distractors", distractors, 0),
        ("clutter", clutter, 0),
    ):
        if value < least:
            raise InputError(f"{name}={value}; give at least {least}")
    recipe = Recipe(n, size, _checked_classes(classes), seed, distractors, clutter)
    images, labels, covers = [], [], []
    for plan in recipe.plans():
        images.append(render(plan))
        labels.append(plan.labels)
        covers.append((coverage(plan.target, size) * 255).ceil().byte())
    cover = torch.cat(covers)
    masks = cover >= 128
    return Scenes(
        images=torch.cat(images),
        labels=torch.cat(labels),
        boxes=_boxes(masks),
        masks=masks,
        regions=cover > 0,
        classes=recipe.classes,
        recipe=recipe,
    )


def render(plan: Plan) -> RawImages:
    """Paint a plan: (scene, 3, size, size), uint8."""
    size = plan.grain.shape[-1]
    canvas = F.interpolate(plan.ground, size=(size, size), mode="bicubic", align_corners=True)
    canvas = (canvas + plan.grain).permute(0, 2, 3, 1).contiguous()
    for objects in (*plan.distractors, plan.target):
        paint(canvas, objects)
    return (canvas.clamp(0, 1) * 255).round().byte().permute(0, 3, 1, 2).contiguous()


def _checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    known = (*CLASSES, *_SHAPES, *_TEXTURES)
    for name in classes:
        if name not in known:
            raise unknown_name("scene class", name, known)
    kinds = {_shape_and_texture(name) for name in classes}
    decided = {(shape is None, texture is None) for shape, texture in kinds}
    if len(decided) > 1 or len(set(classes)) != len(classes) or len(classes) < 2:
        raise InputError(
            f"classes {', '.join(classes) or 'none'}; give two or more different ones, all of "
            "them shapes, or textures, or textures with shapes"
        )
    return tuple(classes)


def _shape_and_texture(name: str) -> tuple[int | None, int | None]:
    """Return the shape's and the texture's number; None for what the class leaves open."""
    words = name.split()
    shape = next((index for index, known in enumerate(_SHAPES) if known in words), None)
    texture = next((1 + index for index, known in enumerate(_TEXTURES) if known in words), None)
    return shape, texture


class _Dice:
    """Random numbers for one block of scenes."""

    def __init__(self, random: torch.Generator) -> None:
        self.random = random

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(_BLOCK, *shape, generator=self.random)

    def below(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high, (_BLOCK,), generator=self.random)


def _plan(recipe: Recipe, block: int) -> Plan:
    """Plan a whole block."""
    dice = _Dice(generator(recipe.seed, _STREAM, block, recipe.size))
    labels = torch.randperm(_BLOCK, generator=dice.random) % len(recipe.classes)
    shapes, textures = dice.below(0, len(_SHAPES)), dice.below(1, len(TEXTURES))
    decided = [_shape_and_texture(name) for name in recipe.classes]
    for label, (shape, texture) in enumerate(decided):
        shapes = shapes if shape is None else shapes.masked_fill(labels == label, shape)
        textures = textures if texture is None else textures.masked_fill(labels == label, texture)
    size = recipe.size
    target = _objects(dice, shapes, textures, dice.uniform(0.18, 0.25) * size, size)
    clutter = [_speck(dice, size) for _ in range(recipe.clutter)]
    placed = [target]
    for number in range(recipe.distractors):
        placed.append(_distractor(dice, size, placed, bar=number % 2 == 1))
    return Plan(
        ground=_background_colours(dice),
        grain=dice.uniform(-0.04, 0.04, 1, size, size),
        distractors=(*clutter, *placed[1:]),
        target=target,
        labels=labels,
    )


def _objects(dice: _Dice, shape: Tensor, texture: Tensor, radius: Tensor, size: int) -> Objects:
    """Place objects anywhere where they are wholly inside the frame."""
    margin = REACH * radius + _CLEARANCE
    room = size - 2 * margin
    return Objects(
        shape=shape,
        texture=texture,
        row=margin + dice.uniform(0.0, 1.0) * room,
        col=margin + dice.uniform(0.0, 1.0) * room,
        radius=radius,
        angle=dice.uniform(0.0, 2 * math.pi),
        texture_angle=dice.uniform(0.0, 2 * math.pi),
        period=dice.uniform(0.55, 0.75) * radius,
        colours=torch.stack(
            [_colour(dice, (0.3, 0.9), (0.85, 1.0)), _colour(dice, (0.4, 0.9), (0.08, 0.3))], 1
        ),
    )


def _distractor(dice: _Dice, size: int, placed: list[Objects], *, bar: bool) -> Objects:
    """Put an object where it touches none of those placed; left out where there is no room."""
    if bar:
        shape, texture = torch.full((_BLOCK,), _BAR), dice.below(1, len(TEXTURES))
    else:
        shape, texture = dice.below(0, len(_SHAPES)), torch.zeros(_BLOCK, dtype=torch.int64)
    objects = _objects(dice, shape, texture, dice.uniform(0.12, 0.17) * size, size)
    if not bar:
        swap = dice.uniform(0.0, 1.0) < 0.5
        colours = torch.where(swap[:, None, None], objects.colours.flip(1), objects.colours)
        objects = replace(objects, colours=colours)
    margin = REACH * objects.radius[:, None] + _CLEARANCE
    rows = margin + dice.uniform(0.0, 1.0, _CANDIDATES) * (size - 2 * margin)
    cols = margin + dice.uniform(0.0, 1.0, _CANDIDATES) * (size - 2 * margin)
    free = torch.ones(_BLOCK, _CANDIDATES, dtype=torch.bool)
    for other in placed:
        apart = torch.hypot(rows - other.row[:, None], cols - other.col[:, None])
        needed = REACH * (objects.radius + other.radius) + 2 * _CLEARANCE
        free &= (apart > needed[:, None]) | (other.radius == 0)[:, None]
    choice = free.byte().argmax(1, keepdim=True)
    return replace(
        objects,
        row=rows.gather(1, choice).squeeze(1),
        col=cols.gather(1, choice).squeeze(1),
        radius=objects.radius * free.any(1),
    )


def _speck(dice: _Dice, size: int) -> Objects:
    """Return a small plain dot of an object's colour."""
    radius = dice.uniform(0.02, 0.045) * size
    nothing = torch.zeros(_BLOCK, dtype=torch.int64)
    objects = _objects(dice, nothing, nothing, radius, size)
    dark = dice.uniform(0.0, 1.0) < 0.5
    colours = torch.where(dark[:, None, None], objects.colours.flip(1), objects.colours)
    return replace(objects, colours=colours)


def _background_colours(dice: _Dice) -> Tensor:
    """Return (scene, 3, 4, 4): shades of a muted colour, between the objects' light and dark."""
    base = _colour(dice, (0.05, 0.3), (0.5, 0.65))[:, :, None, None]
    shade = dice.uniform(-0.1, 0.1, 1, 4, 4)
    tint = dice.uniform(-0.04, 0.04, 3, 4, 4)
    return base + shade + tint


def _colour(dice: _Dice, saturation: tuple[float, float], value: tuple[float, float]) -> Tensor:
    """Draw an RGB colour a scene, of any hue: (scene, 3)."""
    hue = dice.uniform(0.0, 6.0, 1)
    offset = torch.tensor([5.0, 3.0, 1.0])
    wheel = (hue + offset) % 6
    strength = torch.minimum(wheel, 4 - wheel).clamp(0, 1)
    return dice.uniform(*value, 1) * (1 - dice.uniform(*saturation, 1) * strength)


def _removed(objects: Objects) -> Objects:
    return replace(objects, radius=torch.zeros_like(objects.radius))


def _first(plan: Plan, count: int) -> Plan:
    """Keep the first scenes of a block."""
    return Plan(
        plan.ground[:count],
        plan.grain[:count],
        tuple(_first_objects(objects, count) for objects in plan.distractors),
        _first_objects(plan.target, count),
        plan.labels[:count],
    )


def _first_objects(objects: Objects, count: int) -> Objects:
    return Objects(**{each.name: getattr(objects, each.name)[:count] for each in fields(objects)})


def _boxes(masks: Bool[Tensor, "scene height width"]) -> Int64[Tensor, "scene 4"]:
    """Return the tight boxes xyxy around the True pixels, exclusive at the end."""
    ends = []
    for along in (masks.any(1), masks.any(2)):  # columns, then rows
        size = along.shape[1]
        first = along.byte().argmax(1)
        last = size - along.flip(1).byte().argmax(1)
        ends.append((first, last))
    (left, right), (top, bottom) = ends
    return torch.stack([left, top, right, bottom], 1)

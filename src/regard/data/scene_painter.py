"""Antialiased shapes and textures, painted for many scenes at once.

A shape is a signed distance in pixels (negative inside), so that its edge can be blended over
one pixel. Positions u (along) and v (across) are relative to the object's centre and turned by
its angle; r is its radius.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Plane = Float[Tensor, "scene height width"]
PerScene = Float[Tensor, " scene"]


def disc(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """Distance to a filled circle."""
    return torch.hypot(u, v) - 0.88 * r


def square(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """Distance to a filled square."""
    return torch.maximum(u.abs(), v.abs()) - 0.78 * r


def triangle(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """Distance to a filled equilateral triangle."""
    slanted = math.sqrt(3) / 2 * u.abs() + v / 2
    return torch.maximum(slanted, -v) - 0.57 * r


def cross(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """Distance to a plus sign."""
    u, v = u.abs(), v.abs()
    upright = torch.maximum(u - r, v - 0.36 * r)
    lying = torch.maximum(u - 0.36 * r, v - r)
    return torch.minimum(upright, lying)


def ring(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """Distance to a circle with a round hole."""
    return (torch.hypot(u, v) - 0.68 * r).abs() - 0.29 * r


def bar(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    """Distance to an elongated rectangle; no class has this shape."""
    return torch.maximum(u.abs() - 1.05 * r, v.abs() - 0.3 * r)


def plain(u: Tensor, v: Tensor) -> Tensor:
    """One colour."""
    return torch.ones_like(u)


def striped(u: Tensor, v: Tensor) -> Tensor:
    """Parallel bands."""
    return torch.sin(u)


def checked(u: Tensor, v: Tensor) -> Tensor:
    """A chessboard."""
    return 1.5 * torch.sin(u) * torch.sin(v)


SHAPES: tuple[Callable[[Tensor, Tensor, Tensor], Tensor], ...] = (
    disc,
    square,
    triangle,
    cross,
    ring,
    bar,
)
"""By number; the first five decide classes."""

TEXTURES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (plain, striped, checked)
"""By number; each is positive where the first colour shows. The last two decide classes."""

REACH = 1.15
"""How far any shape reaches from its centre, in radii."""


@dataclass(frozen=True)
class Objects:
    """One object in each of many scenes. Positions and lengths are in pixels, angles in radians.

    Attributes:
        shape, texture: indices into `SHAPES` and `TEXTURES`.
        row, col: the centre; a pixel's centre is at (index + 0.5).
        radius: about half of the extent; 0 for no object.
        angle, texture_angle: of the shape and of its texture.
        period: of the texture.
        colours: (scene, 2, 3), RGB in [0, 1].

    """

    shape: Int64[Tensor, " scene"]
    texture: Int64[Tensor, " scene"]
    row: PerScene
    col: PerScene
    radius: PerScene
    angle: PerScene
    texture_angle: PerScene
    period: PerScene
    colours: Float[Tensor, "scene 2 3"]


def coverage(objects: Objects, size: int) -> Plane:
    """Return which share of each pixel the object covers: 1 inside, 0 outside."""
    plane = torch.zeros(len(objects.radius), size, size)
    place = _window(objects, size)
    plane[place] = _coverage(objects, place)
    return plane


def paint(canvas: Float[Tensor, "scene size size 3"], objects: Objects) -> None:
    """Lay the objects over the canvas, in place; pixels not covered keep their exact values."""
    place = _window(objects, canvas.shape[1])
    u, v = _turned(objects, objects.texture_angle, place)
    turns = 2 * math.pi / objects.period[:, None, None]
    pattern = torch.empty_like(u)
    for index, texture in enumerate(TEXTURES):
        chosen = (objects.texture == index).nonzero().squeeze(1)
        pattern[chosen] = texture(u[chosen] * turns[chosen], v[chosen] * turns[chosen])
    first = (0.5 + 1.2 * pattern).clamp(0, 1)[..., None]
    light, dark = objects.colours[:, :, None, None, :].unbind(1)
    colour = torch.lerp(dark, light, first)
    canvas[place] = torch.lerp(canvas[place], colour, _coverage(objects, place)[..., None])


Window = tuple[Tensor, Tensor, Tensor]
"""Indices (scene, row, col) of a square of pixels in each scene."""


def _window(objects: Objects, size: int) -> Window:
    """Return where the objects are, so that a small one costs little in a large scene."""
    side = min(size, math.ceil(2 * REACH * float(objects.radius.max())) + 3)
    scenes = torch.arange(len(objects.radius))[:, None, None]
    offsets = torch.arange(side)
    top = (objects.row - side / 2).round().long().clamp(0, size - side)
    left = (objects.col - side / 2).round().long().clamp(0, size - side)
    return scenes, (top[:, None] + offsets)[:, :, None], (left[:, None] + offsets)[:, None, :]


def _coverage(objects: Objects, place: Window) -> Tensor:
    u, v = _turned(objects, objects.angle, place)
    distance = torch.empty_like(u)
    for index, shape in enumerate(SHAPES):
        chosen = (objects.shape == index).nonzero().squeeze(1)
        distance[chosen] = shape(u[chosen], v[chosen], objects.radius[chosen, None, None])
    present = (objects.radius > 0)[:, None, None]
    return (0.5 - distance).clamp(0, 1) * present


def _turned(objects: Objects, angle: PerScene, place: Window) -> tuple[Tensor, Tensor]:
    """Return every pixel's position relative to the object's centre and `angle`."""
    _, row, col = place
    rows = row + 0.5 - objects.row[:, None, None]
    cols = col + 0.5 - objects.col[:, None, None]
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return cosine * cols + sine * rows, cosine * rows - sine * cols

"""A detector and a segmenter of which it is known which pixels each answer depends on."""

from types import SimpleNamespace

import torch
from torch import Tensor, nn

SIDE, CELL = 32, 8
CELLS = SIDE // CELL


class Found(list):
    """What is found, and beside it what was said of every place."""

    def __init__(self, rows, raw):
        super().__init__(rows)
        self.raw = raw


class Spots(nn.Module):
    """A place in each cell of 8×8 pixels: class 0 as red as it is, class 1 as green as it is.

    Its box is the cell, each side moved out by the mean of blue there, in pixels. Found are places
    surer than `least`, the surest first.
    """

    task = "detect"
    labels = ("red", "green")

    def __init__(self, least=0.5):
        super().__init__()
        self.least = least
        self.layer = nn.Identity()
        self.cell = nn.AvgPool2d(CELL)

    def forward(self, images):
        means = self.cell(self.layer(images)).flatten(2).mT  # (image, cell, colour)
        logits = 8 * means[..., :2] - 4
        tops, lefts = (
            g.flatten() for g in torch.meshgrid(*[torch.arange(CELLS)] * 2, indexing="ij")
        )
        cells = torch.stack([lefts, tops, lefts + 1, tops + 1], 1).float() * CELL
        boxes = cells + means[..., 2:] * torch.tensor([-1.0, -1.0, 1.0, 1.0])
        rows = [self._found(*one) for one in zip(logits.sigmoid(), boxes, strict=True)]
        return Found(rows, SimpleNamespace(logits=logits, boxes=boxes))

    def _found(self, scores, boxes):
        sure, labels = scores.max(1)
        order = sure.detach().argsort(descending=True)
        order = order[sure[order] > self.least]
        return {"boxes": boxes[order], "scores": sure[order], "labels": labels[order]}


class Halves(nn.Module):
    """A segmenter: class 0 everywhere a little, 1 as red as the pixel is, 2 as green."""

    task = "segment"
    labels = ("background", "red", "green")

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 3, 1)
        with torch.no_grad():
            weight = torch.tensor([[0.0, 0, 0], [8, 0, 0], [0, 8, 0]])
            self.head.weight.copy_(weight[:, :, None, None])
            self.head.bias.copy_(torch.tensor([2.0, 0, 0]))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images)


def picture(**shades):
    """Return an image with cells of a colour: `r12=0.9` is red in row 1, column 2."""
    image = 0.05 * torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    for name, value in shades.items():
        row, col = int(name[1]), int(name[2])
        channel = "rgb".index(name[0])
        image[0, channel, cell(row), cell(col)] = value
    return image


def cell(number):
    return slice(number * CELL, (number + 1) * CELL)


def inside(*cells):
    """Return a mask of cells, each (row, col)."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    for row, col in cells:
        mask[cell(row), cell(col)] = True
    return mask

"""What a check of a method looks at: one method, its options, and two small models to explain."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.seeding import generator, seeded
from regard.explain.explainer import Explainer, Maps
from regard.explain.targets import Class, Likeliest, Score
from regard.testing.violation import Checked

CLASSES = 4
SIZE = (32, 24)
PATCH = 4


class SmallCNN(nn.Module):
    """Three convolutions, the second halving the map, and a head over the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True))
        self.stage = nn.Sequential(
            nn.Conv2d(8, 12, 3, stride=4, padding=1),
            nn.BatchNorm2d(12),
            nn.ReLU(inplace=True),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, height, width) to logits (batch, class)."""
        return self.head(self.stage(self.stem(x)).mean((2, 3)))


class SmallBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = SmallAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, token, channel) to the same."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SmallAttention(nn.Module):
    """Multi-head attention by the fused kernel."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, token, channel) to the same."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class SmallViT(nn.Module):
    """Two blocks over patches and a class token, which alone is read."""

    def __init__(self, width: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        cells = (SIZE[0] // PATCH) * (SIZE[1] // PATCH)
        self.places = nn.Parameter(torch.zeros(1, cells + 1, width))
        self.blocks = nn.ModuleList([SmallBlock(width, heads) for _ in range(2)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, height, width) to logits (batch, class)."""
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


MODELS = {"cnn": SmallCNN, "transformer": SmallViT}


@dataclass(frozen=True)
class Explained(Checked[Explainer]):
    """A method with one set of options, on one model, under one check.

    Attributes:
        kind: of the model, `cnn` or `transformer`.

    """

    thing = "method"

    kind: str

    @property
    def who(self) -> str:
        """What it is called in messages, with its options."""
        return f"{super().who} on a {self.kind}"

    def model(self) -> nn.Module:
        """Build the model in eval mode, every parameter random."""
        with seeded(0), torch.no_grad():
            model = MODELS[self.kind]().eval()
            for parameter in model.parameters():
                parameter.normal_(0, 0.4)
        return model

    def images(self, batch: int = 2) -> Tensor:
        """Return random images, (batch, 3, height, width)."""
        return torch.randn(batch, 3, *SIZE, generator=generator(1))

    def score(self, model: nn.Module, images: Tensor, target: int | None = None) -> Score:
        """Return the score of a class, or of each image's likeliest."""
        with torch.no_grad():
            output = model(images)
        wanted = Likeliest() if target is None else Class(target)
        return wanted.score(output, ())

    def run(
        self,
        model: nn.Module | None = None,
        images: Tensor | None = None,
        score: Score | None = None,
    ) -> Maps:
        """Run the method."""
        model = self.model() if model is None else model
        images = self.images() if images is None else images
        score = self.score(model, images) if score is None else score
        return self.entry(model, images, score, **self.options)


def failing_score() -> Score:
    """Return a score that raises when it is asked."""
    return Score(partial(_refuse), ("nothing",) * 2)


class RefusedError(Exception):
    """What a failing score raises."""


def _refuse(_output: Any, _image: Tensor) -> Tensor:
    raise RefusedError

"""A network that learns CIFAR-10 in seconds: whitened patches, few layers, no shortcuts.

Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024 (arXiv 2404.00498), the network of
its airbench94; the whitening layer is by Page, "How to Train Your ResNet", 2019. Written from
memory of the paper and its code; where we know of a difference, it is said below.

As there: a 2×2 convolution of 24 fixed filters that whiten patches of the training images; three
blocks of 64, 256 and 256 channels, each of two 3×3 convolutions, with 2×2 max pooling behind the
first; batch norm without gains, with ε = 1e-12 and a running average that moves fast (0.4 a step);
GELU; convolutions that start as the identity as far as they have channels for it (the paper's
"dirac initialisation"); the largest value of each channel, a dense layer without bias, and logits
times 1/9.

Otherwise than there:

- the bias of the whitening layer is trained throughout, where the paper holds it after 3 epochs;
- the last pooling takes the largest value of the whole map, which for images of 32×32 is the
  paper's 3×3 pooling, and for others lets the network run, too;
- fixed filters and gains are buffers: they are not counted as parameters;
- precision is what training chooses; the paper has half precision but for batch norm.

What the paper does in training (its optimiser, Lookahead, the faster learning of biases, translated
copies at test time) is no matter of the network; `configs/speed.py` says what we have of it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.shapes import FeatureMap, OutputMap
from regard.models.registry import Places, Widening, register

_CHUNK = 256
"""Images whose patches are held at a time."""


class WhiteningConv(nn.Conv2d):
    """A 2×2 convolution whose filters whiten the patches of training images, and are then fixed.

    The filters are the eigenvectors of the patches' covariance over the square roots of their
    eigenvalues, and the same with the other sign: 24 for three channels. Before `whiten` was
    called they are random.

    Args:
        epsilon: added to the eigenvalues, so that directions with hardly any variance stay small.

    """

    SIDE = 2

    def __init__(self, *, epsilon: float = 5e-4) -> None:
        values = 3 * self.SIDE**2
        super().__init__(3, 2 * values, self.SIDE)
        self.epsilon = epsilon
        filters = self.weight.detach()[:values]
        del self.weight
        self.register_buffer("weight", torch.cat([filters, -filters]))
        nn.init.zeros_(self.get_parameter("bias"))

    @torch.no_grad()
    def whiten(self, images: FeatureMap) -> None:
        """Set the filters from images as the network is given them: (batch, 3, height, width).

        Raises:
            InputError: there are none, or they are smaller than a patch.

        """
        if not len(images) or min(images.shape[2:]) < self.SIDE:
            raise InputError(
                f"images of shape {tuple(images.shape)} have no patches of 2×2 to whiten; give "
                "training images"
            )
        values, vectors = torch.linalg.eigh(_covariance(images, self.SIDE))
        scaled = vectors.T / (values + self.epsilon).sqrt()[:, None]
        filters = scaled.flip(0).reshape(-1, 3, self.SIDE, self.SIDE)
        self.weight.copy_(torch.cat([filters, -filters]))


def _covariance(images: FeatureMap, side: int) -> Tensor:
    """Return E[p pᵀ] over all patches p (float64); as in the paper's code their mean stays."""
    total = torch.zeros(3 * side**2, 3 * side**2, dtype=torch.float64)
    count = 0
    for some in images.split(_CHUNK):
        patches = F.unfold(some.double().cpu(), side)
        total += torch.einsum("bip,bjp->ij", patches, patches)
        count += len(patches) * patches.shape[2]
    return total / count


class _Norm(nn.BatchNorm2d):
    """Batch norm with a bias and without a gain."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-12, momentum=0.4)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


class _Block(nn.Module):
    """Convolution, pooling, norm, GELU; convolution, norm, GELU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = _identity_conv(channels_in, channels_out)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = _Norm(channels_out)
        self.conv2 = _identity_conv(channels_out, channels_out)
        self.norm2 = _Norm(channels_out)
        self.act = nn.GELU()

    def forward(self, x: FeatureMap) -> OutputMap:
        """(batch, channel, height, width) to half the height and width."""
        x = self.act(self.norm1(self.pool(self.conv1(x))))
        return self.act(self.norm2(self.conv2(x)))


def _identity_conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    """Return a 3×3 convolution whose first filters pass on the channels that come in."""
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[:channels_in])
    return conv


class Airbench(nn.Module):
    """Whitening, three blocks, the largest value of each channel, a dense layer.

    Args:
        classes: how many classes the head tells apart.
        width: times the channels of the paper's blocks (64, 256, 256).
        scale: of the logits.

    """

    def __init__(self, classes: int, *, width: int | float = 1.0, scale: float = 1 / 9) -> None:
        super().__init__()
        if not 64 * width >= 1:
            raise InputError(f"width must be above 1/64, not {width}")
        first, last = round(64 * width), round(256 * width)
        self.whitening = WhiteningConv()
        self.act = nn.GELU()
        self.block1 = _Block(24, first)
        self.block2 = _Block(first, last)
        self.block3 = _Block(last, last)
        self.fc = nn.Linear(last, classes, bias=False)
        self.scale = scale

    def whiten(self, images: FeatureMap) -> None:
        """Set the first layer from training images, preprocessed: (batch, 3, height, width)."""
        self.whitening.whiten(images)

    def forward_features(self, x: FeatureMap) -> OutputMap:
        """Images (batch, 3, height, width) to the last block's features."""
        return self.block3(self.block2(self.block1(self.act(self.whitening(x)))))

    def forward(self, x: FeatureMap) -> Tensor:
        """Images (batch, 3, height, width) to logits (batch, class)."""
        return self.fc(self.forward_features(x).amax((2, 3))) * self.scale


@register(
    "airbench",
    paper="Jordan, 2024",
    arxiv="2404.00498",
    size=32,
    places=Places(gate="block*.norm2", mixing="block2"),
    widens=Widening("width", step=1 / 64),
)
def airbench(classes: int, *, width: int | float = 1.0) -> Airbench:
    """Six convolutions behind whitened patches, made to learn CIFAR-10 fast; 1.97 M parameters."""
    return Airbench(classes, width=width)

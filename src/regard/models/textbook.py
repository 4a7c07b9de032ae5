"""The textbook network: one convolution, the textbook gate, one dense layer.

The smallest network in which the whole pipeline (image → features → query/key/value → scores →
weights → weighted features → prediction) can be followed by hand. It is the network of a Keras
article on attention in CNNs, kept as it was, down to the absence of pooling and padding.
"""

from torch import Tensor, nn

from regard.core.shapes import FeatureMap
from regard.models.registry import Places, Widening, register


class TextbookCNN(nn.Module):
    """3×3 convolution → relu → (attention goes here) → flatten → dense.

    Args:
        classes: how many classes the head tells apart.
        filters: filters of the convolution.
        size: side of the input in pixels, which the dense layer depends on.

    """

    def __init__(self, classes: int, *, filters: int, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, filters, 3)
        self.act = nn.ReLU()
        self.fc = nn.Linear(filters * (size - 2) ** 2, classes)

    def forward(self, x: FeatureMap) -> Tensor:
        """Images (batch, 3, size, size) to logits (batch, class)."""
        return self.fc(self.act(self.conv(x)).flatten(1))


@register(
    "textbook_cnn",
    paper="the textbook gate",
    size=32,
    places=Places(gate="act", mixing="act"),
    attention="qk_gate",
    sized=True,
    widens=Widening("filters"),
)
def textbook_cnn(classes: int, *, filters: int = 32, size: int = 32) -> TextbookCNN:
    """One convolution of 32 filters, the gate σ(Q·K)⊙V, one dense layer."""
    return TextbookCNN(classes, filters=filters, size=size)

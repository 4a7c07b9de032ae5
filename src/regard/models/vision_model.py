"""A network together with what it takes to use it: preprocessing, labels and task."""

from typing import Any, Literal

from PIL import Image
from torch import nn

from regard.core.labels import class_index
from regard.core.shapes import Images
from regard.models.preprocessing import Preprocessing

Task = Literal["classify", "detect", "segment", "features"]


class VisionModel(nn.Module):
    """A network with its preprocessing, labels and task.

    Calling it is calling the network: preprocessed images (batch, 3, height, width) in, the
    network's output out, as the network returns it: a tensor, dict, tuple or dataclass.

    Args:
        network: the network itself, as its library made it.
        name: what it is called in pictures and reports.
        preprocessing: how it wants its images.
        labels: the class names, in the order of its outputs; empty for a task without classes.
        task: `classify`, `detect`, `segment`, or `features` for a backbone without a head.
        assumed: what its library did not say and had to be assumed, one sentence each.

    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        preprocessing: Preprocessing,
        labels: tuple[str, ...] = (),
        task: Task = "classify",
        assumed: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.preprocessing = preprocessing
        self.labels = labels
        self.task: Task = task
        self.assumed = assumed
        self.eval()

    def forward(self, images: Images) -> Any:
        """Run the network on preprocessed images (batch, 3, height, width); return its output."""
        return self.network(images)

    def prepare(self, picture: Image.Image) -> Images:
        """Turn an RGB picture into the network's input, (1, 3, height, width)."""
        return self.preprocessing(picture)

    def class_index(self, target: int | str) -> int:
        """Return the index of a class given by index or name.

        Raises:
            InputError: no such class (the near matches are named).

        """
        return class_index(target, self.labels, len(self.labels))

"""What a check of a mechanism looks at: one mechanism with one set of options."""

from collections.abc import Iterator
from contextlib import contextmanager

import jaxtyping
import torch
from torch import Tensor, nn

from regard.attention import Mechanism
from regard.core.seeding import generator, seeded
from regard.testing.violation import Checked

CHANNELS = 8
SIZE = (6, 4)
CONTEXT_SIZE = (3, 5)


class Subject(Checked[Mechanism]):
    """A mechanism with one set of options, under one check."""

    thing = "mechanism"

    def build(
        self,
        channels: int = CHANNELS,
        *,
        randomised: bool = True,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> nn.Module:
        """Build the module in eval mode.

        Args:
            channels: channels of its maps.
            randomised: give every parameter and statistic a random value, so that nothing hides
                behind an initialisation to zero; otherwise as the constructor leaves it.
            dtype: of its parameters.
            seed: of everything that is random in it.

        """
        with seeded(seed):
            module = self.entry.build(channels, **self.options).to(dtype).eval()
            if randomised:
                _randomise(module)
        return module

    def inputs(
        self,
        size: tuple[int, int] = SIZE,
        *,
        channels: int = CHANNELS,
        batch: int = 2,
        dtype: torch.dtype = torch.float64,
    ) -> tuple[Tensor, ...]:
        """Return a random feature map and, for a mechanism with context, a second of another size.

        The second has `context_channels` channels where the options say so.
        """
        random = generator(1)
        shapes = [(batch, channels, *size)]
        if self.entry.context:
            shapes.append((batch, self.options.get("context_channels", channels), *CONTEXT_SIZE))
        return tuple(
            torch.randn(shape, generator=random, dtype=torch.float64).to(dtype) for shape in shapes
        )

    def output_shape(self, x: Tensor) -> tuple[int, ...]:
        """Return the shape that the output for x must have."""
        return tuple(x.shape if self.entry.output == "map" else x.shape[:2])


def _randomise(module: nn.Module) -> None:
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif isinstance(tensor, nn.Parameter) or name.endswith("running_mean"):
                tensor.normal_(0, 0.5)


def relative_difference(theirs: Tensor, ours: Tensor) -> float:
    """Return |theirs − ours| over |ours|, as Euclidean norms; infinite where not finite."""
    theirs, ours = theirs.detach().double(), ours.detach().double()
    difference = (theirs - ours).norm() / ours.norm().clamp_min(1e-30)
    return float(difference) if difference.isfinite() else float("inf")


@contextmanager
def uninstrumented() -> Iterator[None]:
    """Switch jaxtyping's run-time checks off, which a test-suite may have switched on.

    Dynamo cannot trace them.
    """
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)

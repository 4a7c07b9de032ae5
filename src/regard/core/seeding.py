"""Randomness that takes a seed and leaves no trace in the global generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


def derive_seed(*parts: int) -> int:
    """Return one 63-bit seed from several integers, such as (seed, epoch, step).

    Neighbouring inputs give unrelated seeds, so `seed=0, epoch=1` never repeats
    `seed=1, epoch=0` (numpy's `SeedSequence` does the mixing).
    """
    # SeedSequence pads with zeros, so that (1,) and (1, 0) would be one without their number.
    words = np.random.SeedSequence((len(parts), *parts)).generate_state(2, np.uint32)
    return int(words[0]) << 31 | int(words[1]) >> 1


def generator(*parts: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator seeded from several integers (see `derive_seed`)."""
    return torch.Generator(device).manual_seed(derive_seed(*parts))


@dataclass(frozen=True, eq=False)
class RandomState:
    """Where the global generators of Python, numpy and torch stand, on every device in use.

    Attributes:
        python: of `random`.
        numpy: of `numpy.random`.
        torch: of the CPU, then of each CUDA device, if CUDA is in use.

    """

    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    torch: tuple[Tensor, ...]

    @classmethod
    def now(cls) -> "RandomState":
        """Return where they stand now."""
        used = torch.cuda.is_available() and torch.cuda.is_initialized()
        cuda = torch.cuda.get_rng_state_all() if used else []
        numpy = tuple(np.random.get_state())
        return cls(random.getstate(), numpy, (torch.get_rng_state(), *cuda))

    def restore(self) -> None:
        """Set the global generators back to here."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        cpu, *cuda = self.torch
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)

    def agrees_with(self, other: "RandomState") -> bool:
        """Return True if numpy and torch would draw the same numbers next.

        Python's generator is left out: checkers of types draw from it, too.
        """
        same = len(self.torch) == len(other.torch)
        same = same and all(map(torch.equal, self.torch, other.torch))
        return same and all(map(np.array_equal, self.numpy, other.numpy))


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Restore the global random state of Python, numpy and torch, also after an exception."""
    before = RandomState.now()
    try:
        yield
    finally:
        before.restore()


@contextmanager
def seeded(*parts: int) -> Iterator[None]:
    """Seed the global generators inside the block only (for code that takes no generator)."""
    with preserved_random_state():
        seed = derive_seed(*parts)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        yield

"""Randomness that takes a seed and leaves no trace in the global generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


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


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Restore the global random state of Python, numpy and torch, also after an exception."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    devices = range(torch.cuda.device_count()) if cuda else ()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


@contextmanager
def seeded(*parts: int) -> Iterator[None]:
    """Seed the global generators inside the block only (for code that takes no generator)."""
    with preserved_random_state():
        seed = derive_seed(*parts)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        yield

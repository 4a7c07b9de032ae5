"""Shapes are checked in every call under pytest: jaxtyping's annotations, enforced by beartype."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Must run before the first import of regard.
install_import_hook("regard", "beartype.beartype")

# A spawned worker or a library that asks for a model must never reach for the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A timing never decides a test, and the same examples are tried every time.
settings.register_profile("regard", deadline=None, derandomize=True)
settings.load_profile("regard")


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU or the real data sets where they are absent, and say so."""
    import torch

    data = Path(os.environ.get("REGARD_DATA", Path(__file__).parents[2] / "shared" / "data"))
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("data") and not data.is_dir():
            item.add_marker(pytest.mark.skip(reason="needs the real data: set REGARD_DATA"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data sets; for tests marked `data`."""
    return Path(os.environ.get("REGARD_DATA", Path(__file__).parents[2] / "shared" / "data"))

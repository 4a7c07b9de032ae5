"""`ImageDataset` refuses parts that do not fit each other."""

import pytest
import torch

from regard.core.errors import InputError
from regard.data import ImageDataset


def dataset(n=6, **changes):
    images = torch.arange(n * 3 * 4 * 5).remainder(251).byte().view(n, 3, 4, 5)
    parts = {"images": images, "labels": torch.arange(n) % 2, "classes": ("a", "b"), "name": "x"}
    return ImageDataset(**(parts | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": torch.zeros(6, 3, 4, 5)}, "float32"),
        ({"images": torch.zeros(6, 1, 4, 5, dtype=torch.uint8)}, r"\(6, 1, 4, 5\)"),
        ({"images": torch.zeros(6, 3, 0, 5, dtype=torch.uint8)}, r"\(6, 3, 0, 5\)"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, r"one int64 for each of the 6"),
        ({"labels": torch.zeros(6)}, "float32"),
        ({"labels": torch.full((6,), 2)}, "from 2 to 2, but there are 2 classes"),
        ({"labels": torch.full((6,), -1)}, "from -1"),
        ({"classes": ("a", "a")}, "twice"),
    ],
)
def test_parts_that_do_not_fit(changes, message):
    with pytest.raises(InputError, match=message):
        dataset(**changes)


def test_subset_keeps_order_and_classes():
    whole = dataset()
    chosen = whole.subset([4, 1])
    assert chosen.images.equal(whole.images[[4, 1]])
    assert chosen.labels.tolist() == [0, 1]
    assert chosen.classes == whole.classes
    assert len(whole.subset(slice(2, None))) == 4
    assert len(whole.subset(torch.tensor([0]))) == 1


def test_subset_outside():
    with pytest.raises(InputError, match="x has 6 images"):
        dataset().subset([6])


def test_fingerprint_follows_content_and_not_the_name():
    whole = dataset()
    changed = whole.images.clone()
    changed[5, 2, 3, 4] += 1
    assert dataset(name="y").fingerprint == whole.fingerprint
    assert whole.subset(range(6)).fingerprint == whole.fingerprint
    assert dataset(images=changed).fingerprint != whole.fingerprint
    assert dataset(labels=1 - whole.labels).fingerprint != whole.fingerprint
    assert dataset(classes=("a", "c")).fingerprint != whole.fingerprint

"""The smallest detectors, and images with boxes for them."""

import copy
import functools

import torch

from regard.core.seeding import seeded
from regard.models import NetworkSpec, build

BACKBONE = "resnet18(width=4)"
NAMES = ("faster_rcnn", "retinanet", "yolo")
OPTIONS = {
    "faster_rcnn": {"channels": 8, "width": 16, "candidates": 40, "proposals": 20, "sampled": 24},
    "retinanet": {"channels": 8, "depth": 1},
    "yolo": {"channels": 8, "depth": 1},
}


def tiny(name, *, attention="none", seed=0, classes=2, **options):
    """Build a detector of a few thousand parameters."""
    own = {"backbone": BACKBONE, **OPTIONS[name], **options}
    return build(NetworkSpec(name, classes, attention, own), seed=seed, task="detect")


def pictures(count=2, side=64, seed=0):
    """Noise with a bright square of the first class and a dark one of the second in each."""
    images = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) / 8
    truth = []
    for number in range(count):
        boxes = torch.tensor([[8.0, 8.0, 32.0, 32.0], [30.0, 36.0, 58.0, 60.0]]) + 2 * number
        for (left, top, right, bottom), shade in zip(boxes.int().tolist(), (1, -1), strict=True):
            images[number, :, top:bottom, left:right] += shade
        truth.append({"boxes": boxes, "labels": torch.tensor([0, 1])})
    return images, truth


def learn(detector, images, truth, steps, lr=3e-3):
    """Take steps of Adam on one batch; return the losses of the first and the last."""
    optimizer = torch.optim.Adam(detector.parameters(), lr=lr)
    detector.train()
    sums = []
    for step in range(steps):
        with seeded(step):
            loss = sum(detector(images, truth).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums.append(float(loss.detach()))
    detector.eval()
    return sums[0], sums[-1]


@functools.cache
def _learned(name):
    detector = tiny(name)
    # Its second stage learns from what the first proposes, and so later.
    steps, lr = (60, 5e-3) if name == "faster_rcnn" else (36, 8e-3)
    learn(detector, *pictures(), steps=steps, lr=lr)
    return detector


def learned(name):
    """Return a detector that has seen `pictures()` for a while; trained once for all tests."""
    return copy.deepcopy(_learned(name))

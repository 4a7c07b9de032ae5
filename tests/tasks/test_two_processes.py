"""Detectors and segmenters that two processes train together, as `--devices 2` has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.models.detect.tiny import BACKBONE, OPTIONS

from regard.data import detection_sources, segmentation_sources
from regard.data.detection_batches import DetectionBatches
from regard.data.segmentation_batches import SegmentationBatches
from regard.models.load import load
from regard.train.journal import read_journal

FEW = {"train": (8, 1), "val": (2, 2), "test": (2, 3)}

SCRIPT = """
import os
import sys
import torch
from pathlib import Path
from regard.data import detection_sources, segmentation_sources
from regard.tasks import DetectOptions, Machine, SegmentOptions, detect, segment

detection_sources._SCENES = segmentation_sources._SCENES = {few}
task, out = {task}, Path(sys.argv[1])
train_run = task.train_run

def noting(network, run, batches, **given):
    # Each process says what it saw and what it ends with.
    seen = torch.cat([images for images, _ in batches.epoch(0)])
    lines = train_run(network, run, batches, **given)
    learned = dict(network.named_parameters())
    torch.save((seen, learned), out / f"{{os.environ['RANK']}}.pt")
    return lines

task.train_run = noting
recipe = task.{recipe}(epochs=1, batch_size=4, ema=0.0)
machine = Machine(device="cpu", precision="fp32", devices=2, workers=0)
options = {kind}(recipe=recipe, size=(64, 64), augment=None, **{options})
task.train(options, out / "run", machine=machine, quiet=True)
"""

DETECT = {"task": "detect", "recipe": "detection_recipe", "kind": "DetectOptions"}
SEGMENT = {"task": "segment", "recipe": "segmentation_recipe", "kind": "SegmentOptions"}
UNET = {"model": "unet", "model_options": {"encoder": "plain(width=4, levels=3)", "width": 4}}


def detector(name):
    return {"model": name, "backbone": BACKBONE, "model_options": OPTIONS[name]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("told", "options", "metric"),
    [
        pytest.param(DETECT, detector("retinanet"), "validation_mAP50", id="retinanet"),
        pytest.param(DETECT, detector("faster_rcnn"), "validation_mAP50", id="faster_rcnn"),
        pytest.param(SEGMENT, UNET, "validation_mIoU", id="unet"),
    ],
)
def test_two_processes_share_the_images_and_end_with_the_same_weights(
    told, options, metric, tmp_path, monkeypatch
):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(**told, options=options, few=FEW))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node", "2", str(script), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, env=environment)
    (first, ours), (second, theirs) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    # In every step of 4 images, two each.
    together = torch.stack((first, second), 1).flatten(0, 1)
    assert torch.equal(together, every_image(told["task"], monkeypatch))
    assert not torch.equal(first, second)
    stored = load_file(tmp_path / "run" / "model.safetensors")
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
        assert torch.equal(tensor, stored[name]), name
    (line,) = read_journal(tmp_path / "run")
    assert 0 <= line[metric] <= 1
    assert load(tmp_path / "run").task == told["task"]


def every_image(task, monkeypatch):
    """Return the images of an epoch in the order in which one process sees them."""
    if task == "detect":
        monkeypatch.setattr(detection_sources, "_SCENES", FEW)
        dataset = detection_sources.open_detection("scenes", "train")
        batches = DetectionBatches(dataset, 4, size=(64, 64), workers=0)
    else:
        monkeypatch.setattr(segmentation_sources, "_SCENES", FEW)
        dataset = segmentation_sources.open_segmentation("scenes", "train")
        batches = SegmentationBatches(dataset, 4, size=(64, 64), workers=0)
    return torch.cat([images for images, _ in batches.epoch(0)])

"""Studies of detectors and segmenters: the same study, other figures."""

import pytest
import torch
from tests.models.detect.test_rt_detr import CONFIG
from torch.utils.flop_counter import FlopCounterMode

from regard.compare import Study, run
from regard.compare.study import plain_and_attending
from regard.compare.task import Networks, options_of
from regard.compare.trial import Trial
from regard.core.errors import InputError
from regard.data import detection_sources, segmentation_sources
from regard.tasks import DetectOptions, Machine, SegmentOptions
from regard.train import Recipe

QUICK = Machine(device="cpu", precision="fp32", workers=0)
BRIEF = Recipe(epochs=1, batch_size=4, optimizer="adam", lr=1e-3, label_smoothing=0.0)


def trial(study, name="none"):
    variants = {v.name: v for v in plain_and_attending(study, study.models[0])}
    return Trial(variants[name], 3)


@pytest.mark.parametrize(("task", "kind"), [("detect", DetectOptions), ("segment", SegmentOptions)])
def test_a_trial_is_trained_as_its_task_is(task, kind):
    study = Study(
        "s",
        task=task,
        models=("net(width=3)",),
        attention=("eca",),
        options={"size": (64, 96)},
        recipe=BRIEF,
    )
    options = options_of(study, trial(study, "eca"), 0.5)
    assert isinstance(options, kind)
    assert (options.model, options.model_options) == ("net", {"width": 3})
    assert (options.size, options.seed, options.attention) == ((64, 96), 3, "eca")
    assert options.recipe == BRIEF.changed(lr=0.5)


def test_an_option_that_the_task_does_not_have_is_refused():
    study = Study("s", options={"loss": "dice"})
    with pytest.raises(InputError, match=r"ClassifyOptions.*loss"):
        options_of(study, trial(study), None)


def flops_of(model, size=(64, 64)):
    study = Study("s", task="detect", models=(model,), options={"size": size})
    networks = Networks(study)
    (plain, *_) = plain_and_attending(study, model)
    return networks.cost(plain).flops, networks.build(plain)


@pytest.mark.parametrize("name", ["retinanet", "yolo"])
def test_operations_of_a_detector_are_those_of_a_real_image(name, monkeypatch):
    few(monkeypatch)
    found, network = flops_of(f"{name}(backbone='resnet18(width=4)', channels=16)")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.rand(1, 3, 64, 64))
    assert found == counter.get_total_flops()


def test_operations_of_two_stages_are_those_of_as_many_regions_as_may_be(monkeypatch):
    """A region costs two dense layers and two outputs; the rest depends on none of them."""
    few(monkeypatch)
    base = "faster_rcnn(backbone='resnet18(width=4)', channels=8, width=16, side=3, proposals={})"
    (some, network), (more, _) = (flops_of(base.format(count)) for count in (20, 50))
    classes = network.classes
    region = 2 * (8 * 9 * 16 + 16 * 16 + 16 * (classes + 1) + 16 * 4)
    assert more - some == 30 * region
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        pyramid = network.neck(network.backbone(torch.rand(1, 3, 64, 64)))
        network.proposals(pyramid, (64, 64))
    assert some == counter.get_total_flops() + 20 * region


def test_images_that_a_network_cannot_take_are_one_line(monkeypatch):
    few(monkeypatch)
    model = f"rt_detr(config={ {**CONFIG, 'num_queries': 900} })"
    with pytest.raises(InputError, match=r"rt_detr.* cannot take images of 64×64 pixels"):
        flops_of(model)


SMALL = {
    "detect": ("retinanet(backbone='resnet18(width=4)', channels=16)", {"size": (64, 64)}),
    "segment": ("unet(width=4)", {"size": (32, 32)}),
}


@pytest.mark.slow
@pytest.mark.parametrize(("task", "metric"), [("detect", "mAP50"), ("segment", "mIoU")])
def test_a_study_of_another_task_is_told_in_its_own_figure(task, metric, tmp_path, monkeypatch):
    model, options = SMALL[task]
    study = Study(
        task,
        task=task,
        models=(model,),
        attention=(f"scaled_dot_product(width=256)@{'neck' if task == 'detect' else 'bottom'}",),
        seeds=2,
        recipe=BRIEF,
        options={**options, "augment": None},
    )
    few(monkeypatch)
    found = run(study, tmp_path, machine=QUICK, quiet=True)
    assert found["study"]["metric"] == metric
    roles = [(variant["role"], variant["seeds"]) for variant in found["variants"]]
    assert roles == [(role, [0, 1]) for role in ("plain", "attention", "matched")]
    assert all(0 <= value <= 1 for variant in found["variants"] for value in variant["values"])
    maps = [one for row in found["pictures"] for one in row["maps"]]
    assert len(maps) >= 3
    assert all(one["level"] if one["picture"] else one["reason"] for one in maps)


def few(monkeypatch):
    """Make the scenes few: a study of tiny networks need not be good."""
    for module in (detection_sources, segmentation_sources):
        monkeypatch.setattr(module, "_SCENES", {"train": (8, 1), "val": (4, 2), "test": (4, 3)})

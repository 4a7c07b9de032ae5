"""RT-DETR of transformers as a detector of ours: its own losses, its own weights."""

import pytest
import torch
from tests.models.detect.tiny import learn, pictures

from regard.core.errors import InputError
from regard.models import NetworkSpec, build
from regard.models.detect.rt_detr import fill_rt_detr, rt_detr_options

CONFIG = {
    "backbone_config": {
        "model_type": "rt_detr_resnet",
        "embedding_size": 8,
        "hidden_sizes": [8, 8, 8, 8],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
        "out_features": ["stage2", "stage3", "stage4"],
    },
    "encoder_in_channels": [8, 8, 8],
    "decoder_in_channels": [16, 16, 16],
    "d_model": 16,
    "encoder_hidden_dim": 16,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "decoder_layers": 1,
    "num_queries": 12,
    "num_denoising": 4,
    "freeze_backbone_batch_norms": False,
}


def tiny_rt_detr(classes=2, attention=None):
    return build(NetworkSpec("rt_detr", classes, attention, {"config": CONFIG}), task="detect")


def test_it_learns_by_the_losses_of_transformers():
    images, truth = pictures()
    detector = tiny_rt_detr()
    first, last = learn(detector, images, truth, steps=25, lr=3e-3)
    assert last < 0.8 * first
    boxes = [one["boxes"] / 64 for one in truth]
    labels = [
        {
            "class_labels": one["labels"],
            "boxes": torch.cat(((box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]), 1),
        }
        for one, box in zip(truth, boxes, strict=True)
    ]
    with torch.no_grad():
        ours = detector(images, truth)["total"]
        theirs = detector.network(pixel_values=images, labels=labels).loss
    torch.testing.assert_close(ours, theirs)


def test_boxes_are_in_pixels_of_a_wide_image():
    detector = tiny_rt_detr()
    images = torch.zeros(1, 3, 32, 96)
    with torch.no_grad():
        raw, own = detector.raw(images), detector.network(pixel_values=images)
    x, y, width, height = own.pred_boxes[0, 0].tolist()
    expected = [(x - width / 2) * 96, (y - height / 2) * 32, (x + width / 2) * 96]
    assert raw.boxes[0, 0, :3].tolist() == pytest.approx(expected, abs=1e-3)


def test_weights_of_a_folder_fill_all_but_the_heads_of_other_classes(tmp_path):
    saved = tiny_rt_detr(classes=2)
    saved.network.save_pretrained(tmp_path)
    spec = NetworkSpec("rt_detr", 5, None, rt_detr_options(str(tmp_path)))
    detector = build(spec, seed=1, task="detect")
    fill_rt_detr(detector, str(tmp_path))
    theirs, ours = saved.state_dict(), detector.state_dict()
    same = [k for k in ours if ours[k].shape == theirs[k].shape]
    assert all(torch.equal(ours[key], theirs[key]) for key in same)
    assert all("class" in key or "score" in key for key in set(ours) - set(same))
    assert len(same) > 100


def test_what_is_no_rt_detr_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    with pytest.raises(InputError, match="is a resnet model"):
        rt_detr_options(str(tmp_path))
    with pytest.raises(InputError, match=r"hf:nobody/nothing is neither cached nor to be had"):
        rt_detr_options("nobody/nothing")

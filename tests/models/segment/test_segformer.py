"""transformers' SegFormer is fine-tuned and loaded again as any network of ours."""

import pytest
import torch

from regard.core.errors import InputError
from regard.core.packages import require
from regard.data.segmentation_sources import scenes_with_masks
from regard.models.build import NetworkSpec, build
from regard.models.load import load
from regard.models.segment.segformer import fill_segformer, segformer_options
from regard.tasks import Machine, SegmentOptions, evaluate
from regard.tasks import segment as task
from regard.tasks.segment import segmentation_recipe

transformers = require("transformers", extra="zoo")

TINY = {
    "depths": [1, 1, 1, 1],
    "hidden_sizes": [4, 8, 8, 8],
    "num_attention_heads": [1, 2, 2, 2],
    "decoder_hidden_size": 8,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A SegFormer of four classes, as save_pretrained writes it."""
    path = tmp_path_factory.mktemp("segformer")
    config = transformers.SegformerConfig(num_labels=4, **TINY)
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(path)
    return path


def filled(folder, classes, seed=0):
    spec = NetworkSpec("segformer", classes, None, segformer_options(str(folder)))
    network = build(spec, seed=seed, task="segment")
    fill_segformer(network, str(folder))
    return network


def test_weights_come_from_the_folder_and_a_new_head_from_the_seed(folder):
    theirs = transformers.SegformerForSemanticSegmentation.from_pretrained(folder).state_dict()
    own = filled(folder, 6).state_dict()
    for key, value in theirs.items():
        if "classifier" not in key:
            assert torch.equal(own[f"network.{key}"], value)
    head = "network.decode_head.classifier.weight"
    assert own[head].shape[0] == 6
    assert torch.equal(own[head], filled(folder, 6).state_dict()[head])
    assert not torch.equal(own[head], filled(folder, 6, seed=1).state_dict()[head])


def test_logits_are_transformers_own_enlarged(folder):
    theirs = transformers.SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    x = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        coarse = theirs(pixel_values=x).logits
        expected = torch.nn.functional.interpolate(coarse, (64, 96), mode="bilinear")
        torch.testing.assert_close(filled(folder, 4)(x), expected)


def test_fine_tuning_and_loading(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        task, "open_segmentation", lambda _spec, split: scenes_with_masks(4, size=32, name=split)
    )
    options = SegmentOptions(
        model=f"hf:{folder}", recipe=segmentation_recipe(epochs=1, batch_size=2)
    )
    machine = Machine(device="cpu", precision="fp32")
    task.train(options, tmp_path / "run", machine=machine, quiet=True)
    assert load(tmp_path / "run").network(torch.zeros(1, 3, 32, 32)).shape == (1, 6, 32, 32)
    assert evaluate(tmp_path / "run").confusion.sum() == 4 * 32 * 32


def test_other_models_and_options_are_refused(folder, tmp_path):
    transformers.ViTConfig(hidden_size=8).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is a vit model"):
        segformer_options(str(tmp_path))
    with pytest.raises(InputError, match="is neither cached nor to be had"):
        segformer_options("nobody/nothing")
    with pytest.raises(InputError, match="takes no 'width'"):
        build(NetworkSpec("segformer", 3, None, {"width": 3}), task="segment")

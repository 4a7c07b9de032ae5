"""RT-DETR, of transformers, as a detector of ours; its losses are transformers' own.

Zhao, Lv, Xu, Wei, Wang, Dang, Liu, Chen, "DETRs Beat YOLOs on Real-time Object Detection", 2023
(arXiv 2304.08069). A place is an object query. Boxes of a query set do not repeat each other, so
that none are suppressed.
"""

from typing import Any

from torch import Tensor, nn

from regard.core.boxes import to_cxcywh, to_xyxy
from regard.core.errors import InputError
from regard.core.packages import require
from regard.core.seeding import preserved_random_state
from regard.core.shapes import Images
from regard.models.detect.detector import Detector, Losses, Raw, Selection, Truth
from regard.models.registry import Places, register

_PROJECTIONS = "network.model.encoder_input_proj.*"
_TYPE = "rt_detr"


class RTDetr(Detector):
    """transformers' `RTDetrForObjectDetection` as a function of images.

    Args:
        network: called with `pixel_values` and, for its losses, `labels`.
        classes: how many.

    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network = network
        self.classes = classes
        self.selection = Selection(overlap=1.0)
        self.places = {}

    def raw(self, images: Images) -> Raw:
        """Return the class logits and the boxes of every object query."""
        found = self.network(pixel_values=images)
        return Raw(found.logits, to_xyxy(found.pred_boxes) * _sides(images))

    def losses(self, images: Images, truth: Truth) -> Losses:
        """Return transformers' loss: of the last layer and, weighed alike, of those before."""
        labels = [
            {"class_labels": one["labels"], "boxes": to_cxcywh(one["boxes"] / _sides(images))}
            for one in truth
        ]
        return {"total": self.network(pixel_values=images, labels=labels).loss}


def _sides(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    return images.new_tensor([width, height, width, height])


@register(
    _TYPE,
    paper="Zhao et al., 2023",
    arxiv="2304.08069",
    size=64,
    places=Places(gate=_PROJECTIONS, mixing=_PROJECTIONS),
    task="detect",
)
def rt_detr(classes: int, *, config: dict[str, Any] | None = None) -> RTDetr:
    """RT-DETR with random weights; `config` is what transformers' configuration says."""
    transformers = require("transformers", extra="zoo")
    made = transformers.RTDetrConfig.from_dict({**(config or {}), "num_labels": classes})
    return RTDetr(transformers.RTDetrForObjectDetection(made), classes)


def rt_detr_options(name: str) -> dict[str, Any]:
    """Return the options with which `rt_detr` builds a network of the hub or of a folder.

    Raises:
        InputError: there is no such model, it cannot be had (offline), or it is no RT-DETR.

    """
    transformers = require("transformers", extra="zoo")
    try:
        config = transformers.AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _unavailable(name, error) from error
    if config.model_type != _TYPE:
        raise InputError(
            f"hf:{name} is a {config.model_type} model; `regard train detect` fine-tunes RT-DETR"
        )
    values = config.to_dict()
    for named in ("id2label", "label2id", "architectures", "transformers_version"):
        values.pop(named, None)  # of its own classes and files
    return {"config": values}


def fill_rt_detr(network: nn.Module, name: str) -> None:
    """Load the weights of an RT-DETR of the hub or of a folder; heads of other classes stay.

    Raises:
        InputError: the weights cannot be had.

    """
    transformers = require("transformers", extra="zoo")
    try:
        with preserved_random_state():
            filled = transformers.RTDetrForObjectDetection.from_pretrained(name)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unavailable(name, error) from error
    own = network.state_dict()
    theirs = {f"network.{key}": value for key, value in filled.state_dict().items()}
    fitting = {k: v for k, v in theirs.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict(fitting, strict=False)


def _unavailable(name: str, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(
        f"hf:{name} is neither cached nor to be had ({reason}); connect once to fetch it, or give "
        "the folder that save_pretrained wrote"
    )

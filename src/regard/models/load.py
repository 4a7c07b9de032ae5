"""Models by a word: bundled ones, those of other libraries, a run's folder, a weights file."""

import re
from pathlib import Path

from regard.core.errors import InputError
from regard.models.build import parse_network
from regard.models.own_models import load_own
from regard.models.photo import load_photo, photo_names
from regard.models.registry import networks
from regard.models.run_models import bundled_names, load_bundled, load_run
from regard.models.timm_models import load_timm
from regard.models.torchvision_models import load_torchvision
from regard.models.transformers_models import load_transformers
from regard.models.vision_model import VisionModel
from regard.models.weights_file import is_weights_file

# Those whose name is all that follows, and those whose architectures take options and a file.
_BY_NAME = {"bundled": load_bundled, "photo": load_photo, "hf": load_transformers}
_BY_ARCHITECTURE = {"timm": load_timm, "torchvision": load_torchvision}

_WITH_FILE = re.compile(r"(?P<network>[^@()]+(?:\(.*\))?)\s*@(?P<file>.+)", re.DOTALL)

FORMS = {
    "hf:ORG/NAME": "transformers, from the Hugging Face hub",
    "hf:FOLDER": "transformers, as save_pretrained wrote it",
    "timm:NAME": "timm, its own weights",
    "timm:NAME@FILE": "a weights file of this architecture",
    "torchvision:NAME": "torchvision, its own weights",
    "torchvision:NAME@FILE": "a weights file of this architecture",
    "NETWORK@FILE": "a weights file of resnet20, vit, …",
    "FOLDER": "a training run",
}
"""The forms of a spec beside `bundled:` and `photo:`, and what each stands for."""


def load(spec: str | Path) -> VisionModel:
    """Load a model, ready to use and in eval mode, with preprocessing, labels and task.

    What its library does not say and had to be assumed is in the model's `assumed`. No code of
    strangers is run: weights come from safetensors, or from a pickle of tensors alone.

    Args:
        spec: one of

            - `bundled:NAME`: in this package;
            - `photo:NAME`: weights from the packages of the `photo` extra;
            - `hf:ORG/NAME` or `hf:FOLDER`: transformers, from the hub or a folder;
            - `timm:NAME`, with options `timm:NAME(img_size=448)`;
            - `torchvision:NAME`, with other weights than the default `torchvision:NAME.WEIGHTS`;
            - `timm:NAME@FILE`, `torchvision:NAME@FILE`, `NETWORK(option=value)@FILE`: an
              architecture, one of Regard's own in the last form, with the weights of a
              `.safetensors` or `.pt` file;
            - the folder of a training run.

    Raises:
        InputError: no such model, its weights cannot be had (offline), or its files are damaged,
            unsafe, or do not fit.
        MissingPackage: the library it comes from is not installed.

    """
    text = str(spec)
    scheme, _, rest = text.partition(":")
    if scheme in _BY_NAME and rest:
        return _BY_NAME[scheme](rest)
    if Path(spec).is_dir():
        return load_run(Path(spec))
    match = _WITH_FILE.fullmatch(text)
    file = Path(match["file"]).expanduser() if match else None
    if scheme in _BY_ARCHITECTURE and rest:
        name, options = parse_network(match["network"] if match else text)
        return _BY_ARCHITECTURE[scheme](name.removeprefix(f"{scheme}:"), options, file)
    if match and file is not None:
        return load_own(*parse_network(match["network"]), file)
    raise _unknown(text)


def _unknown(text: str) -> InputError:
    """Say what a word that is no model lacks."""
    if text in networks:
        return InputError(f"{text} is a network without weights; write {text}@FILE, or train it")
    if is_weights_file(Path(text)) and Path(text).is_file():
        return InputError(
            f"{text} is a weights file, and does not say of which network; write timm:NAME@{text}, "
            f"torchvision:NAME@{text} or NETWORK@{text}"
        )
    return InputError(
        f"no model {text!r}: it is no folder, and no bundled:{{{','.join(bundled_names())}}}, "
        f"photo:{{{','.join(photo_names())}}}, {', '.join(FORMS)}"
    )

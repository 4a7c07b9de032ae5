"""Networks for each task, and models of other libraries made ready to use."""

from regard.models import airbench, conv_stem_vit, detect, resnet, segment, textbook, vit
from regard.models.build import NetworkSpec, build
from regard.models.preprocessing import Preprocessing
from regard.models.registry import Network, Places, networks, register
from regard.models.vision_model import VisionModel

__all__ = [
    "Network",
    "NetworkSpec",
    "Places",
    "Preprocessing",
    "VisionModel",
    "airbench",
    "build",
    "conv_stem_vit",
    "detect",
    "networks",
    "register",
    "resnet",
    "segment",
    "textbook",
    "vit",
]

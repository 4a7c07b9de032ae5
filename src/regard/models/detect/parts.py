"""Where attention stands in the parts of a detector that users name: backbone, neck and head."""

from collections.abc import Mapping

from regard.models.detect.backbone import Backbone
from regard.models.registry import Places


def part_places(backbone: Backbone, head: str = "head.*_tower") -> Mapping[str, Places]:
    """Return, for each part, the modules behind which a mechanism of one map stands.

    Args:
        backbone: knows its own places.
        head: a glob of the head's maps.

    """
    gate, mixing = (f"backbone.{place}" for place in (backbone.places.gate, backbone.places.mixing))
    return {
        "backbone": Places(gate, mixing),
        "neck": Places("neck.smooth.*", "neck.smooth.*"),
        "head": Places(head, head),
    }

"""`regard demo`: the main job on real photographs, offline, as pages to look at."""

from pathlib import Path
from typing import Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json

_PHOTOGRAPHS = {"cat": "cat", "astronaut": "astronaut", "coffee": "coffee"}
_CLASSIFIER = "bundled:cifar10-resnet20-attention"
_BACKBONE = "photo:dinov2-small"


def demo(
    out: Annotated[Path, typer.Option(help="The folder for the pages.")] = Path("demo"),
    json: JsonOption = False,
) -> None:
    """Walk through a bundled classifier, and show where DINOv2 looks on real photographs."""
    from regard.core.files import output_folder
    from regard.models.load import load
    from regard.show import demo_page

    folder = output_folder(out)
    words = console(json=json)
    photographs = _photographs()
    walked = _walk(photographs["cat"], folder)
    words.print(
        f"{_CLASSIFIER} on the cat, at 32×32 pixels: {walked['label']} "
        f"({walked['probability']:.0%}; with attention switched off "
        f"{walked['without_attention']:.0%})"
    )
    backbone = load(_BACKBONE)
    attended = [_attend(backbone, name, picture, folder) for name, picture in photographs.items()]
    for found in attended:
        row, col = (index + 1 for index in found["strongest_cell"])
        words.print(
            f"{_BACKBONE} on the {found['name']}: strongest at row {row}, column {col} "
            f"({found['times_uniform']:.0f}× uniform); half of the attention to the image "
            f"is on {found['area_of_half']:.0%} of it"
        )
    page = demo_page.write(walked, attended, folder / "index.html")
    if json:
        print_json({"page": str(page), "walk": walked, "photographs": attended})
    else:
        words.print(f"open {page.resolve()}")


def _photographs() -> dict[str, Any]:
    """Return the photographs that scikit-image ships, as RGB pictures."""
    from PIL import Image

    from regard.core.packages import require

    data = require("skimage.data", extra="photo")
    return {name: Image.fromarray(getattr(data, call)()) for name, call in _PHOTOGRAPHS.items()}


def _walk(picture: Any, folder: Path) -> dict[str, Any]:
    """Write the walk of the bundled classifier; return what there is to say of it."""
    from regard.explain import walk
    from regard.models.load import load
    from regard.show import walk_page

    found = walk(load(_CLASSIFIER), picture, image_name="cat (scikit-image)")
    walk_page.write(found, folder / "walk.html")
    summary = {"model": found.model, "page": "walk.html", "sites": [s.name for s in found.sites]}
    if found.probabilities is not None and found.off is not None:
        best = int(found.probabilities.argmax())
        summary |= {
            "label": found.labels[best],
            "probability": float(found.probabilities[best]),
            "without_attention": float(found.off.probabilities[best]),
        }
    return summary


def _attend(model: Any, name: str, picture: Any, folder: Path) -> dict[str, Any]:
    """Draw the class token's attention in the last block, per head and averaged."""
    import numpy as np
    import torch

    from regard.capture import capture
    from regard.core.errors import RegardError
    from regard.show.attention_overlay import concentration, heads_figure
    from regard.show.evaluation import save_figure

    with torch.no_grad(), capture(model) as seen:
        model(model.preprocessing(picture))
    record = list(seen.values())[-1]
    grid = record.grid
    if grid is None:
        raise RegardError(f"the tokens of {record.site} could not be placed on the picture")
    heads = grid.to_map(record.operator.rows(0)[0, :, 0]).numpy()
    fitted = np.array(model.preprocessing.fit(picture))
    title = f"{name}: class token of DINOv2-small, last block, {grid.rows}×{grid.cols} cells"
    path = folder / f"{name}.png"
    save_figure(heads_figure(fitted, heads, keys=grid.tokens, title=title), path)
    found = concentration(heads.mean(0), keys=grid.tokens)
    return {"name": name, "picture": path.name, "site": record.site, **found}

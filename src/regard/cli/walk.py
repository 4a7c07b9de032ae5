"""`regard walk IMAGE`: the pipeline, step by step, on your image."""

from pathlib import Path
from typing import Annotated

import typer

from regard.cli.output import JsonOption, console, print_json


def walk(
    image: Annotated[Path, typer.Argument(help="A picture file.")],
    model: Annotated[
        str, typer.Option(help="See `regard list models`, or a run's folder.")
    ] = "bundled:cifar10-resnet20-attention",
    out: Annotated[Path, typer.Option(help="The folder for the page and the pictures.")] = Path(
        "walk"
    ),
    sites: Annotated[str, typer.Option(help="Which sites, as a glob over their names.")] = "*",
    pictures: Annotated[bool, typer.Option(help="Write each stage as a PNG too.")] = True,
    json: JsonOption = False,
) -> None:
    """Lead through the six stages, from image to prediction, in one self-contained page."""
    from regard.core.files import output_folder
    from regard.core.pipeline import OF_WHAT
    from regard.data import read_image
    from regard.explain import walk as walk_through
    from regard.models.load import load
    from regard.show import walk_page, walk_pictures

    picture = read_image(image)
    folder = output_folder(out)
    found = walk_through(load(model), picture, sites=sites, image_name=image.name)
    page = folder / "index.html"
    walk_page.write(found, page)
    files = walk_pictures.write(found, folder) if pictures else []
    if json:
        summary = {
            "model": found.model,
            "image": found.image,
            "page": str(page),
            "pictures": [str(path) for path in files],
            "sites": [site.name for site in found.sites],
            "left_out": list(found.left_out),
        }
        if found.probabilities is not None:
            summary["probabilities"] = dict(
                zip(found.labels, found.probabilities.tolist(), strict=True)
            )
        print_json(summary)
        return
    words = console()
    if found.probabilities is not None:
        best = int(found.probabilities.argmax())
        share = f"{found.probabilities[best]:.1%}{OF_WHAT[found.answer]}"
        words.print(f"{found.model} says {found.labels[best]} ({share})")
    words.print(f"{len(found.sites)} attention sites: {', '.join(s.name for s in found.sites)}")
    for reason in found.left_out:
        words.print(f"left out: {reason}")
    words.print(f"page: {page}" + (f", and {len(files)} pictures beside it" if files else ""))

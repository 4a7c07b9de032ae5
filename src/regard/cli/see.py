"""`regard see IMAGE…`: where a model looks, for one picture or a folder of them."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json
from regard.cli.photo_model import BUNDLED, PHOTO, default_model

if TYPE_CHECKING:
    from regard.core.explanation import Explanation
    from regard.show.gallery import GalleryItem


@dataclass(frozen=True)
class Seen:
    """What is kept of a picture file: little, so that folders of any size stream through.

    Attributes:
        line: what there is to say of it in a line.
        summary: plain values for JSON.
        item: its place in the gallery.

    """

    line: str
    summary: dict[str, Any]
    item: "GalleryItem"


def see(
    images: Annotated[list[Path], typer.Argument(help="Picture files, or folders of them.")],
    model: Annotated[
        str | None,
        typer.Option(
            help=f"See `regard list models`, or a run's folder. Without: {PHOTO} if the photo "
            f"extra is installed, else {BUNDLED}."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="See `regard list methods`; may be given several times."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="A class by name or number, top-2, or THIS/THAT for one class rather than "
            "another; of a detector or segmenter a class is its surest box or its mask, and "
            "CLASS@LEFT,TOP,RIGHT,BOTTOM or CLASS@X,Y a box, a rectangle or a pixel of what the "
            "model looks at (the class may be left out); may be given several times. Without: the "
            "likeliest class, the surest box, the largest mask."
        ),
    ] = None,
    site: Annotated[
        str, typer.Option(help="The layer or attention site, by name or glob.")
    ] = "auto",
    out: Annotated[Path, typer.Option(help="The folder for pictures and pages.")] = Path("see"),
    check: Annotated[
        bool, typer.Option(help="Judge each map; --no-check is several times faster.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Show where a model looks: a map over each picture, and a page to explore it."""
    from regard.core.files import output_folder
    from regard.data.picture_files import picture_files
    from regard.models.load import load
    from regard.show import gallery

    files = picture_files(images)
    spec = model or default_model()
    loaded = load(spec)
    folder = output_folder(out)
    words = console(json=json)
    if model is None:
        words.print(f"model: {spec} (choose another with --model)")
    explain = _explainer(loaded, method or ["auto"], target or [None], site, check=check)
    places = _places(files, folder)
    seen, skipped = _each(files, places, explain, alone=len(files) == 1, words=words)
    for reason in loaded.assumed:
        words.print(f"assumed: {reason}")
    for found in seen:
        words.print(found.line)
    if len(files) > 1:
        left_out = [one["reason"] for one in skipped]
        index = gallery.write(
            [found.item for found in seen], folder / "index.html", left_out=left_out
        )
        words.print(f"open {index}")
    if json:
        print_json({"images": [found.summary for found in seen], "skipped": skipped})


def target_of(text: str | None) -> Any:
    """Return the target for what a user writes on the command line."""
    this, slash, that = (text or "").partition("/")
    return (this, that) if slash else text


def _explainer(
    model: Any, methods: Sequence[str], targets: Sequence[str | None], site: str, *, check: bool
) -> Callable[[Any], tuple["Explanation", ...]]:
    from regard.check import see as explained

    def explain(picture: Any) -> tuple["Explanation", ...]:
        return tuple(
            explained(
                model, picture, check=check, target=target_of(target), method=method, site=site
            )
            for target in targets
            for method in methods
        )

    return explain


def _places(files: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Return where each file's page goes, without its ending; equal names are numbered."""
    taken: dict[str, int] = {}
    places: dict[Path, Path] = {}
    for file in files:
        number = taken[file.stem] = taken.get(file.stem, 0) + 1
        places[file] = folder / (file.stem if number == 1 else f"{file.stem}-{number}")
    return places


def _each(
    files: Sequence[Path],
    places: dict[Path, Path],
    explain: Callable[[Any], tuple["Explanation", ...]],
    *,
    alone: bool,
    words: Any,
) -> tuple[list[Seen], list[dict[str, str]]]:
    """Explain each picture; of several, those that cannot be read are skipped, and it is said."""
    from rich.progress import track

    from regard.core.errors import InputError
    from regard.data import read_image

    seen: list[Seen] = []
    skipped: list[dict[str, str]] = []
    quiet = not sys.stderr.isatty()
    for file in track(files, "seeing", console=console(json=True), disable=quiet):
        try:
            picture = read_image(file)
        except InputError as error:
            if alone:
                raise
            skipped.append({"image": str(file), "reason": str(error)})
            words.print(f"skipped: {error}")
            continue
        seen.append(_written(file, explain(picture), places[file]))
    if not seen:
        raise InputError(f"none of the {len(files)} files could be read; {skipped[0]['reason']}")
    return seen, skipped


def _written(file: Path, explanations: tuple["Explanation", ...], place: Path) -> Seen:
    """Write the picture and the page of one file."""
    from PIL import Image

    from regard.core.files import atomic_write, write_text
    from regard.show import gallery, report

    picture, page = (place.with_name(place.name + ending) for ending in (".png", ".html"))
    first = explanations[0]
    with atomic_write(picture) as temporary:
        Image.fromarray(first.overlay()).save(temporary)
    write_text(page, report.html(explanations, title=file.name))
    site = f" at {first.site[-1]}" if first.site else ""
    verdict = f"\n  {first.verdict}" if first.verdict is not None else ""
    return Seen(
        line=f"{file.name}: {first.title}{site} → {page}{verdict}",
        summary={
            "image": str(file),
            "picture": str(picture),
            "page": str(page),
            "explanations": [explanation.summary() for explanation in explanations],
        },
        item=gallery.item(first, file.name, page=page.name),
    )

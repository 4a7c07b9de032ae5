"""Pascal VOC: one XML file an image.

Everingham, Van Gool, Williams, Winn, Zisserman 2010, "The Pascal Visual Object Classes (VOC)
Challenge". A folder with `Annotations/*.xml`, `JPEGImages/` and, for the splits,
`ImageSets/Main/*.txt`. Corners are taken as they are written: VOC's own count pixels from 1 and
include the last, most tools that write the format today do neither.
"""

from pathlib import Path
from xml.etree import ElementTree

from regard.core.errors import InputError
from regard.data.annotated import Annotated, NamedBox, Reading, Unread, choose_split
from regard.data.image_folder import SUFFIXES

_IMAGES = ("JPEGImages", "images", "Images", ".")
_DECLARATIONS = ("<!DOCTYPE", "<!ENTITY")


def is_voc(folder: Path) -> bool:
    """Return True if a folder holds Pascal VOC annotations."""
    return next((folder / "Annotations").glob("*.xml"), None) is not None


def read_voc(folder: str | Path, split: str = "train") -> Reading:
    """Read a split. The classes are those of the `train` split, in the order of the alphabet.

    Args:
        folder: with `Annotations` in it.
        split: a file of `ImageSets/Main`; `train` or `all` is everything where there is none.

    Raises:
        InputError: there is no such split, or nothing in it can be read.

    """
    folder = Path(folder)
    lists = {file.stem: file for file in sorted((folder / "ImageSets" / "Main").glob("*.txt"))}
    # VOC has a list for each class beside those of the splits: cat_train.txt.
    splits = {name: file for name, file in lists.items() if "_" not in name}
    chosen = choose_split(split, splits, folder)
    images, unread = _read(folder, _names(folder, chosen))
    teaching = images
    if "train" in splits and split != "train":
        teaching, _ = _read(folder, _names(folder, splits["train"]))
    classes = sorted({box.name for image in teaching for box in image.boxes})
    name = f"{folder.resolve().name}/{split}"
    return Reading(tuple(images), tuple(classes), name, tuple(unread))


def _names(folder: Path, chosen: Path | None) -> list[str]:
    """Return the names of the annotations, without their ending."""
    if chosen is None:
        return sorted(file.stem for file in (folder / "Annotations").glob("*.xml"))
    try:
        lines = chosen.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{chosen} cannot be read ({error}); give a name on each line") from error
    # A second word, where there is one, tells whether a class is there.
    return [line.split()[0] for line in lines if line.strip()]


def _read(folder: Path, names: list[str]) -> tuple[list[Annotated], list[Unread]]:
    images: list[Annotated] = []
    unread: list[Unread] = []
    for name in names:
        source = folder / "Annotations" / f"{name}.xml"
        try:
            images.append(_annotation(source, folder))
        except InputError as error:
            unread.append(Unread(source, str(error)))
    return images, unread


def _annotation(source: Path, folder: Path) -> Annotated:
    """Read one XML file."""
    try:
        text = source.read_text("utf-8-sig")
        # Entities can be nested until they fill the memory; no annotation has any.
        if any(word in text for word in _DECLARATIONS):
            raise InputError("declares entities, which no annotation needs")
        root = ElementTree.fromstring(text)
    except FileNotFoundError as error:
        raise InputError("does not exist") from error
    except (OSError, UnicodeDecodeError, ElementTree.ParseError) as error:
        raise InputError(f"is no XML that can be read ({error})") from error
    boxes = tuple(_box(each) for each in root.iter("object"))
    file = _image(folder, (root.findtext("filename") or "").strip(), source.stem)
    return Annotated(file, boxes, source, _size(root))


def _box(found: ElementTree.Element) -> NamedBox:
    corners = tuple(
        _number(found.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
    )
    left, top, right, bottom = corners
    name = (found.findtext("name") or "").strip()
    difficult = (found.findtext("difficult") or "").strip() == "1"
    return NamedBox((left, top, right, bottom), name, difficult)


def _number(text: str | None) -> float:
    """Return the number that a text is, NaN where it is none: the check will say so."""
    try:
        return float(text or "")
    except ValueError:
        return float("nan")


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return (height, width); None where it is not said, or said to be 0, as some tools do."""
    height, width = (_number(root.findtext(f"size/{side}")) for side in ("height", "width"))
    return (int(height), int(width)) if height >= 1 and width >= 1 else None


def _image(folder: Path, filename: str, stem: str) -> Path:
    """Return the image: by its name in the annotation, or by the annotation's own name."""
    places = [folder / name for name in _IMAGES if (folder / name).is_dir()]
    for place in places:
        # Only the last part: a path of the machine where the file was made leads nowhere here.
        if filename and (place / Path(filename).name).is_file():
            return place / Path(filename).name
        for suffix in sorted(SUFFIXES):
            if (place / f"{stem}{suffix}").is_file():
                return place / f"{stem}{suffix}"
    return places[0] / (Path(filename).name or f"{stem}.jpg")

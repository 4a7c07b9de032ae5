"""Whether the checker is right: true maps pass, false maps do not.

On scenes of which it is known which pixels decide the label, a network that is at least 99 %
accurate is explained by maps that we make ourselves: the planted truth, the truth grown, the truth
shifted by its own width, smooth noise, a prior for the centre, the picture's edges, and the truth
of another object of another class in the same picture. Each is judged as any map is, and what is
counted is how often it is called `faithful`. Then methods are judged on the network as trained and
on one whose weights are shuffled, and the maps again on a network that goes by texture alone.

The thresholds of `regard.check.judge` were set on scenes of seeds 11 and 29; these are others.
The class explained is the one that the model sees, right or wrong.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import regard
from regard.check.case import Case
from regard.check.controls import centre_prior, edges, random_map
from regard.check.judge import Judged, judge
from regard.check.randomised import randomised
from regard.core.run_files import is_finished
from regard.data import scenes
from regard.explain.targets import Class
from regard.tasks import ClassifyOptions, train
from regard.train import Recipe
from regard.train.metrics import wilson_interval
from result import RESULTS, record

SEED = 41
METHODS = ("grad_cam", "saliency", "guided_backpropagation", "eigen_cam", "input_x_gradient")


PARTS = ("trained", "methods", "weights_shuffled", "texture_only")


def main() -> None:
    """Judge maps and methods, and write `results/check_calibration.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/scenes"))
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    path = RESULTS / "check_calibration.json"
    figures = json.loads(path.read_text())["figures"] if path.is_file() else {}
    for part in options.parts:
        figures[part] = measured(part, options)
        record("check_calibration", figures, n=options.scenes)


def measured(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one part."""
    if part == "texture_only":
        textures = options.runs / "texture_scenes"
        write_textures(textures)
        chosen = ClassifyOptions(data=textures, size=32, **_TRAINED)
        by_texture = load_trained(options.runs / "texture", chosen)
        return maps_judged(by_texture, drawn(options.scenes, TEXTURES))
    model = load_trained(options.runs / "resnet20", ClassifyOptions(**_TRAINED))
    pictures = drawn(options.scenes)
    if part == "methods":
        return methods_judged(model, pictures, options.methods)
    if part == "trained":
        return maps_judged(model, pictures)
    with randomised(model, share=1.0, seed=SEED):
        return maps_judged(model, pictures)


_TRAINED: dict[str, Any] = {"model": "resnet20", "augment": None, "recipe": Recipe(epochs=8)}
TEXTURES = ("checked", "striped")


def load_trained(folder: Path, chosen: ClassifyOptions) -> Any:
    """Return a network that is trained first where that was not done."""
    if not is_finished(folder):
        train(chosen, folder)
    return regard.load(folder)


def drawn(count: int, classes: tuple[str, ...] = scenes.CLASSES) -> scenes.Scenes:
    """Return scenes; those of textures hold no textured bar, so that texture alone decides."""
    bars = {} if classes == scenes.CLASSES else {"distractors": 1}
    return scenes.make(count, classes=classes, seed=SEED, **bars)


def write_textures(folder: Path, count: int = 6000) -> None:
    """Write scenes whose label is a texture as folders of pictures, one a class."""
    if (folder / "train").is_dir():
        return
    made = scenes.make(count, classes=TEXTURES, seed=SEED + 1, distractors=1)
    for number, (image, label) in enumerate(zip(made.images, made.labels.tolist(), strict=True)):
        place = folder / ("test" if number < count // 6 else "train") / TEXTURES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{number}.png")


def maps_judged(model: Any, pictures: scenes.Scenes) -> dict[str, Any]:
    """Return the verdicts of each kind of map, and how often their order is right."""
    levels: dict[str, Counter[str]] = {}
    ordered: Counter[str] = Counter()
    for number in range(len(pictures)):
        values: dict[str, float] = {}
        for kind, judged in judged_maps(model, pictures, number):
            verdict = judge(judged)
            levels.setdefault(kind, Counter())[verdict.level] += 1
            values[kind] = verdict["faithfulness_correlation"].value
        ordered["true > grown"] += values["truth"] > values["truth grown"]
        ordered["grown > shifted"] += values["truth grown"] > values["truth shifted"]
        ordered["true > grown > shifted"] += (
            values["truth"] > values["truth grown"] > values["truth shifted"]
        )
    return {
        "accuracy": accuracy(model, pictures),
        "faithful": {
            kind: share(found["faithful"], found.total()) for kind, found in levels.items()
        },
        "levels": {kind: dict(found.most_common()) for kind, found in levels.items()},
        "order": {name: share(count, len(pictures)) for name, count in ordered.items()},
    }


def accuracy(model: Any, pictures: scenes.Scenes) -> float:
    """Return the share of scenes that the model is right about."""
    with torch.no_grad():
        seen = model(model.preprocessing.normalise(pictures.images.float() / 255)).argmax(1)
    return round(float((seen == pictures.labels).double().mean()), 4)


def judged_maps(model: Any, pictures: scenes.Scenes, number: int) -> Iterator[tuple[str, Judged]]:
    """Yield each kind of map of a scene, ready to be judged for the class that the model sees."""
    case, confidence, _seen = case_of(model, pictures.images[number], number)
    truth, height = pictures.masks[number].double(), pictures.masks.shape[1]
    left, _top, right, _bottom = pictures.boxes[number].tolist()
    width = right - left
    maps = {
        "truth": truth,
        "truth grown": F.max_pool2d(truth[None, None], 9, 1, 4)[0, 0],
        "truth shifted": truth.roll(width if right + width <= height else -width, 1),
        "smooth random": random_map(case.size, 1 + SEED + number),
        "centre prior": centre_prior(case.size),
        "edges": edges(case.image[0]),
    }
    for kind, values in maps.items():
        yield kind, Judged(case, values, confidence)
    two = with_another(model, pictures, number)
    if two is not None:
        case, values, confidence = two
        yield "truth of another class", Judged(case, values, confidence)


def case_of(model: Any, image: Tensor, number: int) -> tuple[Case, float, int]:
    """Return a scene with the class that the model sees in it, how sure it is, and that class."""
    prepared = model.preprocessing.normalise(image[None].float() / 255)
    with torch.no_grad():
        output = model(prepared)
    likeliest = int(output.argmax())
    score = Class(likeliest).score(output, model.labels)
    case = Case(model, prepared, score, seed=number, precision="auto")  # as `regard.see` has it
    return case, float(output.softmax(1).max()), likeliest


def with_another(
    model: Any, pictures: scenes.Scenes, number: int
) -> tuple[Case, Tensor, float] | None:
    """Return a scene that holds the target of another one, too, and where the wrong one is.

    The two are of two classes. What is explained is the class that the model sees, and the map
    shows the object of the other; None where it sees neither, or no scene's target fits in.
    """
    labels, regions = pictures.labels.tolist(), pictures.regions
    for step in range(1, len(pictures)):
        other = (number + step) % len(pictures)
        if labels[other] == labels[number] or (regions[number] & regions[other]).any():
            continue
        image = torch.where(regions[other], pictures.images[other], pictures.images[number])
        case, confidence, seen = case_of(model, image, number)
        if seen not in (labels[number], labels[other]):
            return None
        wrong = other if seen == labels[number] else number
        return case, pictures.masks[wrong].double(), confidence
    return None


def methods_judged(model: Any, pictures: scenes.Scenes, names: list[str]) -> dict[str, Any]:
    """Return the verdicts of methods, with weights and class checked, too."""
    images = model.preprocessing.normalise(pictures.images.float() / 255)
    found: dict[str, Any] = {}
    for name in names:
        levels = Counter(
            regard.see(model, image[None], method=name).verdict.level for image in images
        )
        found[name] = {level: share(count, len(images)) for level, count in levels.most_common()}
    return found


def share(count: int, of: int) -> dict[str, Any]:
    """Return a share with its 95 % interval (Wilson)."""
    low, high = wilson_interval(count, of)
    return {"share": round(count / of, 4), "interval": [round(low, 4), round(high, 4)], "n": of}


if __name__ == "__main__":
    main()

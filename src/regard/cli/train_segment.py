"""`regard train segment`: a network that gives every pixel a class, trained on your masks."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json

_RECIPE = "How to train (default: the recipe's)"
_MACHINE = "Where to train"
_SIZE = re.compile(r"(\d+)(?:[x×](\d+))?")


def _recipe(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_RECIPE, show_default=False, **limits)


def _machine(help: str | None = None, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_MACHINE, **limits)


def segment(
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    data: Annotated[
        str,
        typer.Option(help="scenes, or a path: images and masks, Pascal VOC, COCO."),
    ] = "scenes",
    model: Annotated[
        str,
        typer.Option(
            help="unet, attention_unet or fcn, perhaps with (option=value), or hf:NAME (SegFormer)."
        ),
    ] = "unet",
    encoder: Annotated[
        str | None,
        typer.Option(
            help="plain, resnet18, photo:efficientnet-lite0 (with ImageNet weights), timm:NAME …"
        ),
    ] = None,
    pretrained: Annotated[
        bool | None,
        typer.Option(
            "--pretrained/--from-scratch",
            help="Start the encoder from ImageNet's weights (default: if it is photo:…).",
            show_default=False,
        ),
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            help="NAME, NAME@PLACE or NAME(option=value)@PLACE, such as cbam@decoder.*, or none. "
            "See `regard list mechanisms`."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH of the images in pixels, or one SIDE.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH of the parts to train on (default: all).")
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the training images to hold out.", min=0, max=0.9)
    ] = 0.0,
    loss: Annotated[
        str,
        typer.Option(
            help="cross_entropy, focal, dice, generalised_dice, or a sum: "
            "'cross_entropy + 0.5 * dice'."
        ),
    ] = "cross_entropy",
    class_weights: Annotated[str, typer.Option(help="none or median_frequency.")] = "none",
    epochs: Annotated[int | None, _recipe()] = None,
    batch_size: Annotated[int | None, _recipe()] = None,
    optimizer: Annotated[str | None, _recipe("adam or sgd.")] = None,
    lr: Annotated[float | None, _recipe()] = None,
    weight_decay: Annotated[float | None, _recipe()] = None,
    ema: Annotated[float | None, _recipe()] = None,
    clip: Annotated[float | None, _recipe()] = None,
    augment: Annotated[bool, _recipe("Random scale and crop, flip and colours.")] = True,
    scale: Annotated[
        tuple[float, float] | None, _recipe("Least and greatest random magnification.")
    ] = None,
    device: Annotated[str, _machine("auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, _machine("auto, bf16 or fp32.")] = "auto",
    devices: Annotated[int, _machine("How many.", min=1)] = 1,
    workers: Annotated[int | None, _machine("Processes that read files.", min=0)] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile.", rich_help_panel=_MACHINE)
    ] = False,
    json: JsonOption = False,
) -> None:
    """Train a segmenter. The same command goes on where an interrupted one stopped."""
    from regard.models.build import parse_network
    from regard.tasks import Machine, SegmentOptions, segment
    from regard.tasks.segment import segmentation_recipe

    name, model_options = parse_network(model)
    options = SegmentOptions(
        data=data,
        model=name,
        attention=attention,
        model_options=model_options | ({"encoder": encoder} if encoder else {}),
        pretrained=pretrained,
        seed=seed,
        size=image_size(size),
        crop=image_size(crop),
        validation=validation,
        loss=loss,
        class_weights=class_weights,
        recipe=segmentation_recipe(
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            ema=ema,
            clip=clip,
        ),
        augment=_augment(augment, scale),
    )
    machine = Machine(device, precision, devices, workers, compile)
    lines = segment.train(options, out, machine=machine)
    if not lines:  # one of several processes, and not the one that speaks
        return
    if json:
        print_json({"run": str(out), **lines[-1]})
        return
    last = lines[-1]
    seen = f"{out}: trained; pixel accuracy on its (augmented) images "
    seen += f"{last['train_pixel_accuracy']:.2%}"
    if "validation_mIoU" in last:
        seen += f", mean IoU on those held out {last['validation_mIoU']:.2%}"
    console().print(seen)
    console().print(f"next: regard evaluate {out} --data {data}")


def _augment(wanted: bool, scale: tuple[float, float] | None) -> Any:
    from regard.core.errors import InputError
    from regard.data.segmentation_augment import SegmentationAugment

    if not wanted:
        if scale is not None:
            raise InputError("--scale has no effect with --no-augment; leave one of them out")
        return None
    return SegmentationAugment() if scale is None else SegmentationAugment(scale=scale)


def image_size(text: str | None) -> tuple[int, int] | None:
    """Read `240x320` or `256`: (height, width)."""
    from regard.core.errors import InputError

    if text is None:
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"cannot read size {text!r}; write HEIGHTxWIDTH, such as 240x320, or SIDE")
    height = int(match[1])
    return height, int(match[2] or height)

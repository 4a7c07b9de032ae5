"""`regard train segment`: a network that gives every pixel a class, trained on your masks."""

import re
from typing import Annotated, Any

import typer

from regard.cli.output import JsonOption, console, print_json
from regard.cli.train_options import (
    BatchSize,
    Clip,
    Compile,
    Device,
    Devices,
    Ema,
    Epochs,
    ImageSize,
    LearningRate,
    Optimizer,
    Out,
    Precision,
    Scale,
    Seed,
    Validation,
    WeightDecay,
    Workers,
    augment_option,
    pretrained_option,
)

_SIZE = re.compile(r"(\d+)(?:[x×](\d+))?")


def segment(
    out: Out,
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
    pretrained: Annotated[bool | None, pretrained_option("encoder")] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            help="NAME, NAME@PLACE or NAME(option=value)@PLACE, such as cbam@decoder.*, or none. "
            "See `regard list mechanisms`."
        ),
    ] = None,
    seed: Seed = 0,
    size: ImageSize = None,
    crop: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH of the parts to train on (default: all).")
    ] = None,
    validation: Validation = 0.0,
    loss: Annotated[
        str,
        typer.Option(
            help="cross_entropy, focal, dice, generalised_dice, or a sum: "
            "'cross_entropy + 0.5 * dice'."
        ),
    ] = "cross_entropy",
    class_weights: Annotated[str, typer.Option(help="none or median_frequency.")] = "none",
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    optimizer: Optimizer = None,
    lr: LearningRate = None,
    weight_decay: WeightDecay = None,
    ema: Ema = None,
    clip: Clip = None,
    augment: Annotated[bool, augment_option(help="Scale and crop, flip and colours.")] = True,
    scale: Scale = None,
    device: Device = "auto",
    precision: Precision = "auto",
    devices: Devices = 1,
    workers: Workers = None,
    compile: Compile = False,
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

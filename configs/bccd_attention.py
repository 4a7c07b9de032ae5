"""Does attention help a small detector on blood cells (BCCD)? Neck and head, paired seeds.

The smallest configuration that finds all three kinds: half the pixels of `benchmarks/bccd.py` on
each side, a narrow pyramid, an ImageNet backbone of which the first stages stay as they are.
With three seeds an exact test cannot reach 5 %; what can be told are differences and intervals.

Command:   regard compare configs/bccd_attention.py --data BCCD
Hardware:  2 CPU cores; a run takes about 2 minutes on one core.
Duration:  9 runs, about 20 minutes on one core.
Result:    none 81.0 %, eca@neck −0.15 points [−2.45, 2.14], multi_head@head +0.49 [−1.82, 2.80]
           (docs/results.md)
"""

from regard.compare import Study
from regard.data.box_augment import BoxAugment
from regard.tasks.detect import detection_recipe

study = Study(
    name="bccd_attention",
    task="detect",
    data="bccd",
    models=("yolo(backbone='photo:efficientnet-lite0(freeze=2)', channels=48)",),
    attention=("eca@neck", "multi_head(num_heads=4)@head"),
    seeds=3,
    recipe=detection_recipe(epochs=18),
    options={
        "size": (192, 256),
        "augment": BoxAugment(flip_vertical=True, scale=(0.7, 1.4)),
    },
    match="none",
)

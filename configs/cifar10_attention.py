"""Does attention help a small residual network on CIFAR-10? Eight mechanisms, paired seeds.

Published gains of such mechanisms on the same backbone lie between −1.0 and +1.2 points
(ResNet-20: 91.71 → 91.89 with ECA). This is the smallest network of the family and a short
recipe, chosen so that the study ends on two CPU cores; on a GPU give
`--model resnet20 --epochs 30`.

Command:   regard compare configs/cifar10_attention.py
Hardware:  2 CPU cores; a run takes 4 to 8 minutes on one core.
Duration:  55 runs, 5 to 6 hours on one core.
Result:    no finding with 5 seeds; multi_head +1.04 points [0.84, 1.24] over the plain network and
           +0.28 [−0.25, 0.81] over a wider one, the others nearer to nought (docs/results.md)
"""

from regard.compare import Study
from regard.train import Recipe

study = Study(
    name="cifar10_attention",
    data="cifar10",
    models=("resnet8",),
    attention=(
        "squeeze_excite",
        "eca",
        "cbam",
        "coordinate",
        "global_context",
        "simam",
        "non_local",
        "multi_head",
    ),
    seeds=5,
    recipe=Recipe(epochs=10),
    # Of these, the first six add less than 5 % to the parameters.
    match_tolerance=0.05,
)

"""Training: the loop, the recipe, checkpoints, metrics and a run's folder."""

from regard.train.device import start_fabric
from regard.train.loop import Diverged, EpochBatches, Interrupted, fit
from regard.train.objective import Classification, Objective, Outcome
from regard.train.recipe import Recipe, named_recipe, plain_adam
from regard.train.run import TrainingRun, train_run

__all__ = [
    "Classification",
    "Diverged",
    "EpochBatches",
    "Interrupted",
    "Objective",
    "Outcome",
    "Recipe",
    "TrainingRun",
    "fit",
    "named_recipe",
    "plain_adam",
    "start_fabric",
    "train_run",
]

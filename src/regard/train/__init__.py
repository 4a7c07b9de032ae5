"""Training: the loop, the recipe, checkpoints, metrics and a run's folder."""

from regard.train.classify import ClassifierRun, train_classifier
from regard.train.device import start_fabric
from regard.train.loop import Diverged, EpochBatches, Interrupted, fit
from regard.train.recipe import Recipe, plain_adam

__all__ = [
    "ClassifierRun",
    "Diverged",
    "EpochBatches",
    "Interrupted",
    "Recipe",
    "fit",
    "plain_adam",
    "start_fabric",
    "train_classifier",
]

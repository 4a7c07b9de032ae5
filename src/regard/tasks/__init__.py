"""Whole tasks by name: data, network and recipe put together, trained and evaluated."""

from regard.tasks.classify import ClassifyOptions, Machine, evaluate, train

__all__ = ["ClassifyOptions", "Machine", "evaluate", "train"]

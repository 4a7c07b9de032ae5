"""A study whose training is faked: what a run leaves in its folder, and nothing learned."""

import json

from regard.compare import latency, run_study, task, work
from regard.compare.study import Study
from regard.train import Diverged, Recipe
from regard.train.run_folder import hardware, versions


def study(**changes):
    told = {"attention": ("eca", "cbam"), "seeds": 2, "match": "none", "recipe": Recipe(epochs=1)}
    return Study(**{"name": "quick", "models": ("resnet8(width=2)",), **told, **changes})


def leave_run(folder, trial, rate, accuracy=0.5):
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "task": "classify",
        "parameters": 1,
        "hardware": hardware(),
        "precision": "32-true",
        "date": "2026-01-01",
        "recipe": {"lr": rate or 0.2},
        "versions": versions(),
        "seed": trial.seed,
        "data": {"fingerprint": "f00d"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    line = {"epoch": 0, "train_accuracy": accuracy, "images_per_second": 100.0}
    if trial.rate is not None:
        line["validation_accuracy"] = accuracy
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "model.safetensors").write_bytes(b"")


class Faked:
    """Stands in for training and testing, and counts both.

    `accuracy` is what a run reaches, as a function of the trial; `diverges` says which do not.
    """

    def __init__(self, monkeypatch, accuracy=lambda trial: 0.5, diverges=lambda trial: False):
        self.trained, self.tested = [], []
        self.accuracy, self.diverges = accuracy, diverges
        monkeypatch.setattr(work, "train_trial", self.train)
        monkeypatch.setattr(run_study, "test_run", self.test)
        monkeypatch.setattr(run_study, "pictures", lambda *given: [])
        monkeypatch.setattr(latency, "_ROUNDS", 1)
        monkeypatch.setattr(task, "open_dataset", lambda *given: Images)

    def train(self, study, trial, rate, out, machine):
        self.trained.append((trial.key, rate))
        if self.diverges(trial):
            raise Diverged("training diverged")
        leave_run(out, trial, rate, self.accuracy(trial))

    def test(self, study, folder, device):
        self.tested.append(folder)
        seed = json.loads((folder / "config.json").read_text())["seed"]
        value = 0.8 + 0.001 * seed + 0.01 * ("eca" in folder.parent.name)
        return {"value": value, "images": 100, "calibration_error": 0.0}


class Images:
    classes = ("a", "b")
    size = (32, 32)

"""The textbook network on CIFAR-10: no gate, and its three σ; 10 epochs of Adam at batch 64.

The article that introduced the network calls the gate "clearly better" and gives no number. Runs
lie in a folder and are gone on with: interrupt it as you like.
"""

import argparse
import statistics
from pathlib import Path

from scipy import stats

from regard.core.run_files import is_finished
from regard.tasks import ClassifyOptions, evaluate, train
from regard.train import plain_adam
from result import record

VARIANTS = {
    "no gate": "none",
    "sigmoid": 'qk_gate(activation="sigmoid")',
    "softmax": 'qk_gate(activation="softmax")',
    "relu": 'qk_gate(activation="relu")',
}


def main() -> None:
    """Train what is missing, evaluate all, and write `results/textbook.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--runs", type=Path, default=Path("runs/textbook"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    accuracies: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for seed in range(options.seeds):
        for name, attention in VARIANTS.items():
            folder = options.runs / f"{name.replace(' ', '-')}-seed{seed}"
            if not is_finished(folder):
                train(
                    ClassifyOptions(
                        data=options.data,
                        model="textbook_cnn",
                        attention=attention,
                        seed=seed,
                        recipe=plain_adam(epochs=options.epochs),
                        augment=None,
                    ),
                    folder,
                )
            accuracies[name].append(evaluate(folder, options.data).accuracy.value)
            print(name, seed, f"{accuracies[name][-1]:.2%}", flush=True)
    record(
        "textbook",
        {
            "what": f"test accuracy, {options.epochs} epochs, Adam 1e-3, batch 64, no augmentation",
            **{name: summary(values) for name, values in accuracies.items()},
        },
        n=options.seeds,
    )


def summary(values: list[float]) -> dict[str, object]:
    """Return mean, 95 % t interval and the values."""
    mean = statistics.mean(values)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else None
    return {
        "mean": round(mean, 4),
        "interval": None if half is None else [round(mean - half, 4), round(mean + half, 4)],
        "seeds": [round(value, 4) for value in values],
    }


if __name__ == "__main__":
    main()

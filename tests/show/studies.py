"""Finished studies made of plain values: no network is trained, so that the drawing is tested."""

import numpy as np
from scipy import stats

from regard.show.self_contained import picture_uri

MECHANISMS = (
    "squeeze_excite", "eca", "cbam", "bam", "coordinate", "triplet", "simam", "gather_excite",
    "global_context", "non_local", "scaled_dot_product", "gate",
)  # fmt: skip


def summary(values):
    low = high = sd = None
    if len(values) > 1:
        sd = float(np.std(values, ddof=1))
        half = stats.t.ppf(0.975, len(values) - 1) * sd / len(values) ** 0.5
        low, high = float(np.mean(values) - half), float(np.mean(values) + half)
    return {"n": len(values), "mean": float(np.mean(values)), "sd": sd, "low": low, "high": high}


def difference(mine, theirs, **changes):
    """Return a difference; what the page only prints need not be right, only recognisable."""
    apart = summary(np.subtract(mine, theirs))
    enough = apart["n"] > 1
    found = {
        "n": apart["n"],
        "mean": apart["mean"],
        "low": apart["low"],
        "high": apart["high"],
        "bootstrap_low": apart["low"] and apart["low"] + 1e-4,
        "bootstrap_high": apart["high"] and apart["high"] - 1e-4,
        "effect_size": apart["mean"] / apart["sd"] if apart["sd"] else None,
        "p": 0.0625 if enough else None,
        "p_corrected": 0.4375 if enough else None,
        "p_t": 0.0123 if enough else None,
        "equivalence_p": 0.321 if enough else None,
        "equivalent": False if enough else None,
        "seeds_needed": 12 if enough else None,
    }
    return found | changes


def curves(values, epochs=10, seed=0):
    """Return one curve a seed, that ends near its value."""
    noise = np.random.default_rng(seed)
    return [
        [
            {
                "epoch": epoch,
                "train_loss": 2.2 * np.exp(-epoch / 4) + 0.3,
                "train_accuracy": (value + 0.05) * (1 - np.exp(-(epoch + 2) / 3)),
                "validation_accuracy": value * (1 - np.exp(-(epoch + 2) / 2.5))
                + noise.normal(0, 0.006),
            }
            for epoch in range(epochs)
        ]
        for value in values
    ]


def variant(name, role, values, *, model="resnet8", **changes):
    found = {
        "model": model,
        "name": name,
        "attention": name if role == "attention" else "none",
        "role": role,
        "matched_by": None,
        "parameters": 78042,
        "flops": 12_500_000,
        "latency": 1.0,
        "training_time": 1.0,
        "seeds": list(range(len(values))),
        "values": [float(value) for value in values],
        "diverged": [],
        "summary": summary(values),
        "against_plain": None,
        "against_matched": None,
        "finding": None,
        "sentence": None,
        "on_front": dict.fromkeys(("parameters", "flops", "latency", "training_time"), False),
        "curves": curves(values),
    }
    return found | changes


def network(model="resnet8", mechanisms=MECHANISMS, seeds=5, base=0.832, seed=0):
    """Return a network's variants: the plain one, mechanisms, and two matched baselines."""
    noise = np.random.default_rng(seed)
    drift = noise.normal(0, 0.002, seeds)
    plain = base + drift
    wide = base + 0.0022 + drift + noise.normal(0, 0.0012, seeds)
    wider = "resnet8(widths=(17, 33, 65))"
    front = {"parameters": True, "flops": True, "latency": True, "training_time": True}
    found = [variant("none", "plain", plain, model=model, on_front=front)]
    effects = [0.0021, 0.0002, 0.0035, -0.0031, 0.0012, 0.0025, -0.0004, 0.0008, 0.0015, -0.0062,
               0.0, -0.0018]  # fmt: skip
    kinds = ["capacity", "no difference", "gain", "loss", "open", "open"] * 2
    for place, (name, effect, kind) in enumerate(zip(mechanisms, effects, kinds, strict=False)):
        values = base + effect + drift + noise.normal(0, 0.0012, seeds)
        cheap = place % 4 == 1
        few = seeds < 3
        against, matched = difference(values, plain), difference(values, wide)
        sentence = (
            f"{name}: {1e2 * against['mean']:+.2f} points over the plain network, n = {seeds} "
            f"{'seed: too few seeds to tell' if few else 'seeds, p = 0.44 after correction'}."
        )
        found.append(
            variant(
                name, "attention", values, model=model,
                matched_by="none" if cheap else wider,
                parameters=78042 + 37 * place**2 + 60 * (not cheap),
                flops=12_500_000 + 1000 * place, latency=1.02 + 0.03 * place,
                training_time=1.03 + 0.02 * place,
                against_plain=against, against_matched=None if cheap else matched,
                finding="too few seeds" if few else kind, sentence=sentence,
                on_front={"parameters": place == 2, "flops": place == 2, "latency": False,
                          "training_time": place in (0, 2)},
                curves=curves(values, seed=place + 1),
            )
        )  # fmt: skip
    found.append(
        variant(
            wider, "matched", wide, model=model, parameters=82110, flops=14_000_000, latency=1.05,
            training_time=1.04, against_plain=difference(wide, plain), finding="open",
            sentence=f"{wider}: more of the same, {model}.", curves=curves(wide, seed=99),
        )
    )  # fmt: skip
    return found


def study(variants=None, *, pictures=0, **changes):
    """Return a study; `changes` are of its head."""
    variants = network() if variants is None else variants
    seeds = sorted({seed for one in variants for seed in one["seeds"]})
    head = {
        "name": "cifar10_attention",
        "task": "classify",
        "data": "cifar10",
        "metric": "accuracy",
        "seeds": seeds,
        "epochs": 10,
        "match": "parameters",
        "margin": 0.002,
        "effect": 0.003,
        "bootstrap_from": 5,
        "recipe": {"optimiser": "sgd", "lr": 0.8, "batch": 256, "augment": {"crop": 4}},
        "command": "regard compare configs/cifar10_attention.py",
        "date": "2026-11-23",
        "hardware": "AMD EPYC, 1 threads",
        "versions": {"regard": "0.1.0", "torch": "2.13.0+cpu", "python": "3.11.9"},
        "test_read": "2026-11-23",
        "test_images": 10000,
        "notes": ["seeds 5 to 9 were added after the test split was read: they are no new tuning."],
    }  # fmt: skip
    return {
        "study": head | changes,
        "variants": variants,
        "pictures": [picture(place, variants) for place in range(pictures)],
    }


def drawn(seed, size=96):
    """Return a picture as a data URI: a blob on a slope."""
    rows, cols = np.mgrid[:size, :size] / size
    noise = np.random.default_rng(seed)
    x, y = noise.uniform(0.2, 0.8, 2)
    blob = np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / 0.03)
    tint = noise.uniform(60, 220, 3)
    return picture_uri((tint * (0.35 + 0.65 * blob[..., None])).astype(np.uint8))


def picture(place, variants):
    levels = ["faithful", "weak", "no better than chance", "undecided", None, "ignores the weights"]
    shown = [one for one in variants if one["role"] != "matched"]
    return {
        "label": ["cat", "ship", "frog", "truck"][place % 4],
        "image": drawn(place),
        "maps": [
            {
                "variant": one["name"],
                "model": one["model"],
                "picture": drawn(100 * place + column),
                "predicted": ["cat", "dog"][column % 2],
                "probability": 0.831,
                "method": "grad_cam" if one["role"] == "plain" else "attention",
                "level": (level := levels[(place + column) % 6]),
                "reason": level and f"deletion is better than that of 9{column} % of the controls",
            }
            for column, one in enumerate(shown)
        ],
    }

"""How long a prediction takes, as a multiple of the plain network's: all in turns, in one run."""

import statistics
import time
from collections.abc import Sequence

from regard.compare.study import Variant
from regard.compare.task import Networks

IMAGES = 1
_ROUNDS = 15


def latencies(networks: Networks, variants: Sequence[Variant]) -> dict[str, float]:
    """Return the time of a prediction for one image, in times that of the plain network.

    It is the median of the ratios within each round, on the CPU of this machine.

    Args:
        networks: of the study.
        variants: of one network or of several; each network's plain one is among them.

    Returns:
        The ratio for each variant, by "NETWORK NAME".

    """
    runs = {(v.model, v.name): networks.forward(v, IMAGES) for v in variants}
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for run in runs.values():  # to warm up
        run()
    for _ in range(_ROUNDS):
        for key, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[key].append(time.perf_counter() - start)
    plain = {v.model: seconds[v.model, v.name] for v in variants if v.role == "plain"}
    return {
        f"{model} {name}": statistics.median(
            ours / theirs for ours, theirs in zip(taken, plain[model], strict=True)
        )
        for (model, name), taken in seconds.items()
    }

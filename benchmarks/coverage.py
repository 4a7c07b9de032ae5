"""Which models capture sees into, and how exactly.

For every module of timm that registers models (the one with the fewest parameters), for
architectures of transformers built small from their configurations, for torchvision's and for
attention written by hand, all with random weights: sites found and their kinds, how far weights
times values are from what the model computed (relative to the largest output of the site), how
many tokens are located, and how far the weights are from those that the model tells itself where
it has such a way. A model without attention is listed with what it holds instead.

    python benchmarks/coverage.py                          # what has not been done yet
    python benchmarks/coverage.py --only transformers/swin # this again; globs work
    python benchmarks/coverage.py --only transformers/swin --locate # and where its tokens lie

Every finished model is written down at once.
"""

import argparse
import contextlib
import io
import json
import signal
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from coverage_models import WITHOUT_ATTENTION, Subject, catalogue
from regard.capture import capture
from regard.core.errors import NothingCaptured
from regard.core.grid import NO_PLACE
from regard.core.record import AttentionRecord
from result import RESULTS, record

EXACT = 1e-5
LIMIT_S = 300


def main() -> None:
    """Look at the models that were asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names or globs; done again")
    parser.add_argument("--locate", action="store_true", help="place the tokens too: much slower")
    arguments = parser.parse_args()
    asked = arguments.only
    rows = _done()
    models = catalogue({name: row["model"] for name, row in rows.items() if "model" in row})
    wanted = [n for n in models if any(fnmatchcase(n, glob) for glob in asked)] if asked else []
    if not asked:
        wanted = [n for n in models if n not in rows]
        if arguments.locate:
            wanted += [n for n in models if n in rows and _may_be_located(rows[n])]
    for name in wanted:
        started = time.perf_counter()
        rows[name] = row_of(models[name], locate=arguments.locate)
        if rows[name].get("sites") == 0:
            rows[name]["reason"] = WITHOUT_ATTENTION.get(name, "convolutions and pooling")
        print(f"{name} ({time.perf_counter() - started:.0f} s)", json.dumps(rows[name]), flush=True)
        _save({n: rows[n] for n in models if n in rows})
    print(json.dumps(summary(rows), indent=2))


def _may_be_located(row: dict[str, Any]) -> bool:
    return row.get("sites", 0) > 0 and not row.keys() & {"tokens_located", "not_located"}


def _done() -> dict[str, dict[str, Any]]:
    path = RESULTS / "coverage.json"
    return json.loads(path.read_text("utf-8"))["figures"]["models"] if path.exists() else {}


def _save(rows: dict[str, dict[str, Any]]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        record("coverage", {"summary": summary(rows), "models": rows}, n=len(rows))


def row_of(build: Any, *, locate: bool) -> dict[str, Any]:
    """Return the figures of one model; what goes wrong with it is one of them."""
    try:
        with _at_most(LIMIT_S), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return figures(build(), locate=locate)
    except Exception as error:  # whatever a model does belongs in the table
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


@torch.no_grad()
def figures(subject: Subject, *, locate: bool) -> dict[str, Any]:
    """Capture one model and measure what was seen."""
    row: dict[str, Any] = {"model": subject.variant}
    plain = subject.run()
    try:
        with capture(subject.model) as seen:
            captured = subject.run()
    except NothingCaptured as error:
        return row | {"sites": 0, "holds": str(error).split("contains ")[-1]}
    records = seen.records
    row |= {
        "sites": len(seen),
        "calls": len(records),
        "kinds": dict(Counter(kind_of(r) for r in records)),
        "worst_error": max(relative_error(r) for r in records),
        "output_changed_by": changed_by(plain, captured),
    }
    if locate:
        try:
            row["tokens_located"] = located(records, placeless_tokens(subject))
        except TimeoutError as error:
            row["not_located"] = str(error)
    del seen, records
    return row | agreement(subject)


def kind_of(record: AttentionRecord) -> str:
    """Return the kind of a record, and whether it mixes channels."""
    return record.kind if record.mixes == "tokens" else f"{record.kind} over channels"


def relative_error(record: AttentionRecord) -> float:
    """Return how far weights times values are from the output, over its largest entry."""
    largest = float(record.tensors.output.abs().max())
    return record.error / largest if largest else record.error


def located(records: tuple[AttentionRecord, ...], placeless: set[int]) -> float | None:
    """Return the share of the tokens of softmax and linear sites, among those with a place.

    Queries and keys both count. None where no token has a place, as with words.

    Args:
        records: of all sites.
        placeless: how many words or object queries the model has; so many tokens, or windows of
            no image, are not expected to lie anywhere.

    """
    have = total = 0
    for seen in records:
        if seen.kind not in ("softmax", "linear") or seen.mixes != "tokens":
            continue
        batch, _, queries, keys = seen.operator.shape
        sides = (("query", seen.query_grid, queries), ("key", seen.key_grid, keys))
        for side, grid, tokens in sides:
            if grid is not None:
                # Tokens beyond the cells there are lie on what the model padded the map with.
                unplaced = grid.groups * (grid.tokens - grid.prefix) - grid.placed
                empty = grid.cells - len(set(grid.table.flatten()) - {NO_PLACE})
                have += grid.placed
                total += grid.placed + min(unplaced, empty)
            elif side in seen.unclear and tokens not in placeless:
                total += tokens * batch // (seen.images or 1)
    return round(have / total, 4) if total else None


def placeless_tokens(subject: Subject) -> set[int]:
    """Return how many object queries a model of transformers has, and words it was given."""
    config = getattr(subject.model, "config", None)
    names = ("num_queries", "num_detection_tokens", "decoder_num_queries")
    counts = {getattr(config, name, None) for name in names}
    inputs = subject.inputs if isinstance(subject.inputs, dict) else {}
    words = inputs.get("input_ids")
    counts |= set() if words is None else {words.shape[1]}
    return {count for count in counts if isinstance(count, int)}


def agreement(subject: Subject) -> dict[str, Any]:
    """Compare with the weights that the model tells itself, each with its nearest record.

    In float64: the model computes these by another path, whose rounding its layers may magnify.
    """
    if subject.own_weights is None:
        return {}
    subject.to_double()
    try:
        own = subject.own_weights(subject)
        with capture(subject.model) as seen:
            subject.run()
    except (TypeError, ValueError, RuntimeError, AttributeError):
        return {}  # no such path in this model, or none in float64
    ours = [r for r in seen.records if r.kind == "softmax"]
    distances = [d for weights in own if (d := _nearest(weights, ours)) is not None]
    if not distances:
        return {}
    return {"own_weights": len(distances), "own_weights_differ_by": max(distances)}


def _nearest(weights: Tensor, records: list[AttentionRecord]) -> float | None:
    same = [r for r in records if prod(r.operator.shape) == weights.numel()]
    dense = [r.operator.dense() for r in same if r.operator.shape[-1] == weights.shape[-1]]
    # Where there are windows too, a record has them in the batch, before the heads.
    orders = (weights, weights.transpose(1, 2)) if weights.dim() == 5 else (weights,)
    distances = (float((d.flatten() - w.flatten()).abs().max()) for d in dense for w in orders)
    return min(distances, default=None)


def prod(shape: tuple[int, ...]) -> int:
    """Return the product of a shape."""
    return torch.Size(shape).numel()


def changed_by(plain: Any, captured: Any) -> float:
    """Return the largest difference of two outputs, over the largest entry of the first."""
    if isinstance(plain, Tensor) and plain.is_floating_point():
        plain, captured = (x.nan_to_num(posinf=0, neginf=0) for x in (plain, captured))
        largest = float(plain.abs().max()) if plain.numel() else 0.0
        return float((plain - captured).abs().max()) / largest if largest else 0.0
    if hasattr(plain, "items"):
        return max((changed_by(value, captured[key]) for key, value in plain.items()), default=0.0)
    if isinstance(plain, (tuple, list)):
        pairs = zip(plain, captured, strict=True)
        return max((changed_by(a, b) for a, b in pairs), default=0.0)
    return 0.0


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the figures over all models."""
    found = [row for row in rows.values() if row.get("sites")]
    shares = [row["tokens_located"] for row in found if row.get("tokens_located") is not None]
    own = [row["own_weights_differ_by"] for row in found if "own_weights_differ_by" in row]
    return {
        "models": len(rows),
        "with_attention": len(found),
        "exact": sum(row["worst_error"] <= EXACT for row in found),
        "output_unchanged": sum(row["output_changed_by"] == 0 for row in found),
        "without_attention": sum(row.get("sites") == 0 for row in rows.values()),
        "errors": sum("error" in row for row in rows.values()),
        "located_all_tokens": sum(share == 1 for share in shares),
        "with_tokens_to_locate": len(shares),
        "tell_their_own_weights": len(own),
        "own_weights_agree": sum(difference <= EXACT for difference in own),
    }


if __name__ == "__main__":
    main()

"""Which variants no other one beats in both accuracy and cost."""

from collections.abc import Sequence

Figure = float | int | None


def pareto_front(points: Sequence[tuple[Figure, Figure]]) -> list[bool | None]:
    """Return for each (accuracy, cost) whether it lies on the Pareto front.

    On the front is what no other is better than: at least as accurate at no more cost, and better
    in one of the two. Equals stand there together. It is drawn through means, and asks not how
    sure they are.

    Args:
        points: accuracy, more is better; cost, less is better. None where not measured: such a
            point is neither on the front nor off it (None), and beats no other.

    """

    def beaten(accuracy: float | int, cost: float | int) -> bool:
        return any(
            a is not None and c is not None and a >= accuracy and c <= cost
            and (a > accuracy or c < cost)
            for a, c in points
        )  # fmt: skip

    return [None if a is None or c is None else not beaten(a, c) for a, c in points]

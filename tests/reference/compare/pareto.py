"""Twin of the Pareto front: a sweep from the cheapest point to the dearest."""


def pareto_front(points):
    best, on = float("-inf"), set()
    for cost in sorted({cost for _, cost in points}):
        here = max(accuracy for accuracy, c in points if c == cost)
        if here > best:
            on.add((here, cost))
            best = here
    return [point in on for point in points]

"""A product of weights that the model formed itself, and values."""

from torch import Tensor

from regard.capture.contraction import Contraction, Side, opposite
from regard.capture.layout import Matrices
from regard.capture.observer import Call, Observer
from regard.capture.sighting import Part, Sighting
from regard.core.record import SiteKind

Factors = tuple[Tensor, Tensor]


def weighted(
    observer: Observer,
    call: Call,
    factors: Factors,
    meeting: Contraction,
    side: Side,
    kind: SiteKind,
) -> Sighting | None:
    """Return a sighting of weights @ values, not written down yet; None where it is not wanted.

    Args:
        observer: knows the site.
        call: the product.
        factors: left and right.
        meeting: how they met.
        side: which of them is the weights.
        kind: of the site.

    """
    site, output = observer.wanted_site(), call.output
    if site is None or output is None:
        return None
    weights, value = factors if side == "left" else factors[::-1]
    hint = observer.heads_hint()
    axes = meeting.matrix_axes(side, hint)
    heads = hint if len(axes.batch) == 1 else 1

    def part(tensor: Tensor, letters: str, rows: str, columns: str) -> Part:
        layout = Matrices(meeting, letters, axes.batch, rows, columns, heads)
        return Part(observer.keeper.hold(tensor), layout)

    return Sighting(
        site=site,
        kind=kind,
        form="weights",
        provenance="exact",
        call=observer.next_call(site),
        running=observer.modules.running,
        maps=observer.modules.maps,
        parts={
            "weights": part(weights, meeting.letters(side), axes.query, axes.key),
            "value": part(value, meeting.letters(opposite(side)), axes.key, axes.width),
            "output": part(output, meeting.result, axes.query, axes.width),
        },
    )

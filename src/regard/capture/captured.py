"""What a capture block saw: records by site."""

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from regard.capture.sighting import Locate, Sighting
from regard.core.errors import InputError, unknown_name
from regard.core.record import AttentionRecord, SiteKind


class Captured(Mapping[str, AttentionRecord]):
    """Site name → record, in the order in which the sites first ran.

    A site may be called several times: `seen[name]` is its first call, `seen.calls(name)` all of
    them. A module that attends more than once (CBAM gates twice) is one site with several calls.
    """

    def __init__(self, sightings: dict[str, list[Sighting]], locate: Locate) -> None:
        self._sightings = sightings
        self._locate = locate
        self._records: dict[str, tuple[AttentionRecord, ...]] = {}
        self._closed = False

    def calls(self, site: str) -> tuple[AttentionRecord, ...]:
        """Return the records of all calls of a site, in order.

        Raises:
            InputError: nothing was captured at a site of that name.

        """
        if site in self._records:
            return self._records[site]
        if site not in self._sightings:
            raise unknown_name("site", site, self._sightings)
        records = tuple(sighting.record(self._locate) for sighting in self._sightings[site])
        if self._closed:
            self._records[site] = records
        return records

    @property
    def sightings(self) -> list[Sighting]:
        """All that was seen, site by site."""
        return [sighting for calls in self._sightings.values() for sighting in calls]

    @property
    def records(self) -> tuple[AttentionRecord, ...]:
        """All records, site by site."""
        return tuple(record for site in self for record in self.calls(site))

    def verify(self) -> dict[str, float]:
        """Return, for each site, how far weights times values are from what the model computed.

        The largest absolute difference over all entries and calls. Weights that were recomputed
        do not know which of them dropout dropped.
        """
        return {site: max(record.error for record in self.calls(site)) for site in self}

    def output_gradients(
        self,
        total: Tensor,
        kinds: Collection[SiteKind] = ("softmax", "linear", "sampled"),
    ) -> tuple[Tensor | None, ...]:
        """Return the gradient of a number with respect to the output of every site.

        It is taken with respect to the model's own tensors, in one backward pass that goes no
        further than the first of them, and then laid out as `tensors.output` of the record.

        Args:
            total: (), computed from what the model returned with gradients on.
            kinds: of the sites that are asked for.

        Returns:
            One for each of `records`, and in their order; None for sites of other kinds, and for
            those on which `total` does not depend.

        Raises:
            InputError: no gradient leads back from `total`, or the outputs were not kept.

        """
        if not total.requires_grad:
            raise InputError(
                "no gradient leads back from the score to the model; run the model with gradients "
                "on, for images.requires_grad_(), and take a score that can be differentiated"
            )
        gradients: list[Tensor | None] = [None] * len(self.sightings)
        asked = {
            number: sighting.parts["output"]
            for number, sighting in enumerate(self.sightings)
            if sighting.kind in kinds
        }
        if any(part.cell.tensor.device.type == "meta" for part in asked.values()):
            raise InputError('the outputs were not kept; capture with keep="tensors"')
        asked = {n: part for n, part in asked.items() if part.cell.tensor.requires_grad}
        if asked:
            outputs = [part.cell.tensor for part in asked.values()]
            found = torch.autograd.grad(total, outputs, allow_unused=True)
            for (number, part), gradient in zip(asked.items(), found, strict=True):
                gradients[number] = None if gradient is None else part.laid_out(gradient)
        return tuple(gradients)

    def close(self) -> None:
        """End the block: from now on the records do not change."""
        self._closed = True

    def __getitem__(self, site: str) -> AttentionRecord:
        try:
            return self.calls(site)[0]
        except InputError as error:
            raise UnknownSiteError(str(error)) from None

    def __contains__(self, site: object) -> bool:
        return site in self._sightings

    def __iter__(self) -> Iterator[str]:
        return iter(self._sightings)

    def __len__(self) -> int:
        return len(self._sightings)

    def __repr__(self) -> str:
        """List the sites with their kind."""
        sites = ", ".join(f"{site}: {self[site].kind}" for site in self)
        return f"Captured({sites})"


class UnknownSiteError(InputError, KeyError):
    """Nothing was captured at a site of that name."""

    def __str__(self) -> str:
        """Return the message as it is; KeyError would quote it."""
        return str(self.args[0])

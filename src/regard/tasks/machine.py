"""Where to train."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """Where to train; none of it is meant to change the result.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto` (bfloat16 where the hardware has it), `bf16` or `fp32`.
        devices: how many.
        workers: processes that read and augment images; None for one a core, at most 8, or for none
            where images are in memory and the network runs on the same cores.
        compile: run the network through `torch.compile`.

    """

    device: str = "auto"
    precision: str = "auto"
    devices: int = 1
    workers: int | None = None
    compile: bool = False

"""Where to train."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """Where to train; none of it is meant to change the result.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto` (bfloat16 where the hardware has it), `bf16` or `fp32`.
        devices: how many.
        workers: processes that read image files; None for one a core, at most 8.
        compile: run the network through `torch.compile`.

    """

    device: str = "auto"
    precision: str = "auto"
    devices: int = 1
    workers: int | None = None
    compile: bool = False

"""Checks of what a mechanism computes: shapes, finite and repeatable values, formats."""

import pickle
import random

import numpy as np
import torch

from regard.testing.subject import Subject, relative_difference, uninstrumented

SIZES = ((7, 7), (6, 4), (1, 1), (1, 9))


def output_shape(subject: Subject) -> None:
    """The output has the input's shape, or (batch, channel), for every size of map."""
    module = subject.build()
    for size in SIZES:
        inputs = subject.inputs(size)
        got, expected = tuple(module(*inputs).shape), subject.output_shape(inputs[0])
        subject.require(
            got == expected,
            f"a map of {tuple(inputs[0].shape)} gives {got}",
            f"return {expected}, or register it with another `output`",
        )


def finite_values(subject: Subject) -> None:
    """The output is finite for constant, zero and large maps of every size, also in float32."""
    module = subject.build(randomised=False, dtype=torch.float32)
    for size in SIZES:
        for what, factor, offset in (("zero", 0, 0), ("constant", 0, 1), ("large", 1e3, 0)):
            inputs = subject.inputs(size, dtype=torch.float32)
            output = module(*(x * factor + offset for x in inputs))
            subject.require(
                bool(output.isfinite().all()),
                f"a {what} map of {size[0]}×{size[1]} gives {_unusual(output)}",
                "guard divisions, roots and exponentials (softmax subtracts its maximum)",
            )


def _unusual(output: torch.Tensor) -> str:
    count = int((~output.isfinite()).sum())
    return f"{count} of {output.numel()} values that are not finite"


def images_independent(subject: Subject) -> None:
    """In eval mode an image's output does not depend on the other images of the batch."""
    module, inputs = subject.build(), subject.inputs(batch=3)
    together = module(*inputs)
    for index in range(3):
        alone = module(*(x[index : index + 1] for x in inputs))
        difference = relative_difference(together[index : index + 1], alone)
        subject.require(
            difference < 1e-9,
            f"image {index} of a batch of 3 differs by {difference:.1e} from the same image alone",
            "reduce over channels and positions only, never over the batch",
        )


def repeatable(subject: Subject) -> None:
    """In eval mode a second forward gives the same bits."""
    module, inputs = subject.build(), subject.inputs()
    first, second = module(*inputs), module(*inputs)
    subject.require(
        torch.equal(first, second),
        f"a second forward differs by {relative_difference(second, first):.1e}",
        "switch dropout and noise off where `self.training` is False, and keep no state",
    )


def inputs_unchanged(subject: Subject) -> None:
    """A forward in eval mode changes neither its inputs nor the module's parameters and buffers."""
    module, inputs = subject.build(), subject.inputs()
    given = [x.clone() for x in inputs]
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        module(*inputs)
    for index, (before, after) in enumerate(zip(given, inputs, strict=True)):
        subject.require(
            torch.equal(before, after),
            f"input {index} was changed by up to {(before - after).abs().max():.1e}",
            "use out-of-place operations on the input (`x + y`, not `x += y`)",
        )
    for name, tensor in module.state_dict().items():
        subject.require(
            torch.equal(state[name], tensor),
            f"{name} was changed",
            "update statistics only where `self.training` is True",
        )


def random_state_untouched(subject: Subject) -> None:
    """A forward in eval mode draws no global random numbers."""
    module, inputs = subject.build(), subject.inputs()

    def states() -> dict[str, bytes]:
        torch_state = torch.get_rng_state().numpy().tobytes()
        return {
            "torch": torch_state,
            "numpy": pickle.dumps(np.random.get_state()),
            "random": pickle.dumps(random.getstate()),
        }

    before = states()
    with uninstrumented():  # beartype draws the list items that it looks at
        module(*inputs)
    after = states()
    moved = [name for name in before if before[name] != after[name]]
    subject.require(
        not moved,
        f"a forward moved the global generator of {' and '.join(moved)}",
        "draw nothing in eval mode",
    )


def any_memory_format(subject: Subject) -> None:
    """Channels-last and transposed inputs give the values of contiguous ones."""
    module, inputs = subject.build(), subject.inputs()
    expected = module(*inputs)
    forms = {
        "channels_last": [x.contiguous(memory_format=torch.channels_last) for x in inputs],
        "transposed": [x.mT.contiguous().mT for x in inputs],
    }
    for form, formed in forms.items():
        difference = relative_difference(module(*formed), expected)
        subject.require(
            difference < 1e-9,
            f"{form} inputs change the output by {difference:.1e}",
            "do not rely on strides: `flatten` and `reshape` in place of `view`",
        )


def bfloat16(subject: Subject) -> None:
    """The module in bfloat16 gives bfloat16 values near those of float32."""
    exact = subject.build(randomised=False, dtype=torch.float32)
    module = subject.build(randomised=False, dtype=torch.bfloat16)
    inputs = subject.inputs(dtype=torch.bfloat16)
    with torch.no_grad():
        output, expected = module(*inputs), exact(*(x.float() for x in inputs))
    subject.require(
        output.dtype is torch.bfloat16,
        f"bfloat16 inputs give {output.dtype}",
        "make constants and buffers with the input's dtype, and cast back after float32 islands",
    )
    _require_near(subject, output, expected)


def autocast(subject: Subject) -> None:
    """Under bfloat16 autocast the values are near those of float32, and gradients flow."""
    module = subject.build(randomised=False, dtype=torch.float32)
    inputs = subject.inputs(dtype=torch.float32)
    expected = module(*inputs).detach()
    inputs[0].requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = module(*inputs)
    output.float().sum().backward()
    _require_near(subject, output.detach(), expected)


def _require_near(subject: Subject, output: torch.Tensor, expected: torch.Tensor) -> None:
    # bfloat16 keeps 8 bits, 0.4 % a rounding; a chain of a dozen operations stays under 5 %.
    difference = relative_difference(output, expected)
    subject.require(
        difference < 0.05,
        f"bfloat16 differs by {difference:.1%} from float32",
        "form exponentials, variances and long sums in float32",
    )

"""Checks of a mechanism's gradients: that they arrive, are right and stay finite."""

import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError, gradcheck
from torch.func import functional_call

from regard.attention.blended import started
from regard.core.seeding import generator
from regard.testing.mechanism_values import SIZES
from regard.testing.subject import Subject

# Under this share of the largest gradient, in float64, is rounding: a bias on the keys of a
# softmax, which adds the same to every score of a row, gets about 1e-17.
_ROUNDING = 1e-12


def _gradients(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, Tensor | None]:
    """Return the gradient of a random projection of the output, by name of tensor."""
    tensors = {f"input {index}": x.requires_grad_() for index, x in enumerate(inputs)}
    tensors |= {f"parameter {name!r}": p for name, p in module.named_parameters()}
    output = module(*inputs)
    weights = torch.randn(output.shape, generator=generator(2)).to(output)
    found = torch.autograd.grad((output * weights).sum(), list(tensors.values()), allow_unused=True)
    return dict(zip(tensors, found, strict=True))


def gradients_reach_everything(subject: Subject) -> None:
    """Every input and parameter gets a gradient that is finite and not zero."""
    gradients = _gradients(subject.build(), subject.inputs())
    largest = max(float(g.abs().max()) for g in gradients.values() if g is not None)
    for name, gradient in gradients.items():
        size = 0.0 if gradient is None else float(gradient.abs().max())
        subject.require(
            size > _ROUNDING * largest,
            f"the gradient of {name} is {'missing' if gradient is None else f'{size:.1e}'} "
            f"where the largest is {largest:.1e}",
            "it does not change the output: use it, or leave it out (as the bias of a softmax's "
            "keys)",
        )


def moves_when_inserted(subject: Subject) -> None:
    """Put in so that it starts as the identity, it is one, and two steps of descent move it.

    The first step may move nothing but the factor that keeps it the identity.
    """
    mechanism = subject.build(randomised=False)
    parameters = list(mechanism.parameters())
    if subject.entry.output != "map" or not parameters:
        return
    module = started(subject.entry, mechanism, "identity").train()
    before = [parameter.detach().clone() for parameter in parameters]
    inputs = subject.inputs()
    subject.require(
        torch.equal(module(*inputs), inputs[0]),
        "said to start as the identity, a new block changes its input",
        "leave out `starts_as_identity`, or start a factor of the block at zero",
    )
    weights = torch.randn(inputs[0].shape, generator=generator(2)).to(inputs[0])
    descent = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        descent.zero_grad()
        (module(*inputs) * weights).mean().backward()
        descent.step()
    subject.require(
        any(not torch.equal(*pair) for pair in zip(before, parameters, strict=True)),
        "put in with a factor that starts at zero, no parameter of it ever gets a gradient",
        "register it with `starts_as_identity=True`, if it starts as the identity by itself",
    )


def gradients_right(subject: Subject) -> None:
    """The gradients of inputs and parameters equal finite differences, in float64."""
    module = subject.build()
    names = [name for name, _ in module.named_parameters()]
    inputs = tuple(x.requires_grad_() for x in subject.inputs((3, 2)))

    def run(*tensors: Tensor) -> Tensor:
        maps, parameters = tensors[: len(inputs)], tensors[len(inputs) :]
        return functional_call(module, dict(zip(names, parameters, strict=True)), maps)

    parameters = [parameter.detach().requires_grad_() for parameter in module.parameters()]
    try:
        gradcheck(run, (*inputs, *parameters), fast_mode=True)
    except GradcheckError as error:
        reason = str(error).strip().split("\n", 1)[0]
        subject.fail(f"gradcheck says: {reason}", "detach nothing, and check custom backwards")


def gradients_finite(subject: Subject) -> None:
    """As constructed, in train mode, gradients of constant and zero maps are finite."""
    module = subject.build(randomised=False, dtype=torch.float32).train()
    for size in SIZES:
        for what, offset in (("zero", 0), ("constant", 1)):
            inputs = tuple(x * 0 + offset for x in subject.inputs(size, dtype=torch.float32))
            for name, gradient in _gradients(module, inputs).items():
                subject.require(
                    gradient is None or bool(gradient.isfinite().all()),
                    f"the gradient of {name} is not finite for a {what} map of {size[0]}×{size[1]}",
                    "roots and quotients need an ε inside, where their argument can be zero",
                )

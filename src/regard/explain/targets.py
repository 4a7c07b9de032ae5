"""What is explained: a class, one class rather than another, a likeness, anything.

A target is resolved once, against what the model returned for the images themselves, and becomes a
score: a function of the model's output that tells how much of the target is in each row of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.labels import class_index, label_of
from regard.explain.place import Place

Rows = Int[Tensor, " row"]
"""For each row of an output, which of the images it is a copy of."""


@dataclass(frozen=True)
class Score:
    """How much of the target is in each row of a model's output.

    Attributes:
        of: (output, which image each row is a copy of) → (row,), differentiable.
        names: what is explained in each image, in words.
        places: where in each image that is; empty for a target that is of the whole image.
        layer: at which layer a box or a region is explained unless the user names one: the last
            that the target depends on, or the last of the coarsest.
        other: of a box or region the score of another one, to compare with; None without.

    """

    of: Callable[[Any, Rows], Tensor]
    names: tuple[str, ...]
    places: tuple[Place, ...] = ()
    layer: Literal["last", "coarsest"] = "last"
    other: "Score | None" = None

    def __call__(self, output: Any, image: int | Rows | None = None) -> Float[Tensor, " row"]:
        """Return the score of each row.

        Args:
            output: what the model returned.
            image: which of the images each row is a copy of; one number for all of them; None
                where the rows are the images themselves.

        Raises:
            InputError: a callable target returned something else than a number a row.

        """
        rows, device = batch_of(output)
        if image is None:
            image = torch.arange(rows, device=device)
        elif isinstance(image, int):
            image = torch.full((rows,), image, device=device)
        scores = self.of(output, image.to(device))
        if scores.shape != (rows,):
            raise InputError(
                f"a target returns one number for each row of the output, ({rows},); this one "
                f"returned {tuple(scores.shape)}"
            )
        return scores

    def only(self, number: int) -> "Score":
        """Return the score of one of the images, as if there had been no other."""
        return Score(
            lambda output, image: self.of(output, image + number),
            (self.names[number],),
            self.places[number : number + 1],
            self.layer,
            None if self.other is None else self.other.only(number),
        )


class Target(ABC):
    """Something that can be explained."""

    @abstractmethod
    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the score for images of which the model made `output`.

        Raises:
            InputError: the output has no such thing.

        """


@dataclass(frozen=True)
class Likeliest(Target):
    """The class that the model thinks likeliest, of each image its own.

    Attributes:
        rank: 0 for the likeliest, 1 for the next, …

    """

    rank: int = 0

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the logit of that class."""
        scores = class_scores(output)
        if not 0 <= self.rank < scores.shape[1]:
            raise InputError(f"rank {self.rank} does not exist among {scores.shape[1]} classes")
        classes = scores.detach().argsort(1, descending=True)[:, self.rank]
        return _logits(classes, labels)


@dataclass(frozen=True)
class Class(Target):
    """A class.

    Attributes:
        name: its index, or its label.

    """

    name: int | str

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the logit of the class."""
        scores = class_scores(output)
        index = class_index(self.name, labels, scores.shape[1])
        return _logits(torch.full((scores.shape[0],), index, device=scores.device), labels)


@dataclass(frozen=True)
class Contrast(Target):
    """One class rather than another: the difference of their logits.

    Attributes:
        this, that: indices or labels.

    """

    this: int | str
    that: int | str

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the logit of one less that of the other."""
        count, rows = class_scores(output).shape[1], class_scores(output).shape[0]
        this, that = (class_index(name, labels, count) for name in (self.this, self.that))
        name = f"{label_of(this, labels)} rather than {label_of(that, labels)}"

        def difference(output: Any, _image: Rows) -> Tensor:
            scores = class_scores(output)
            return scores[:, this] - scores[:, that]

        return Score(difference, (name,) * rows)


@dataclass(frozen=True, eq=False)
class Similarity(Target):
    """Likeness to an embedding: the cosine with the model's own, for models without classes.

    Attributes:
        embedding: (channel,); of another image, or of a text.
        name: of what it is the embedding.

    """

    embedding: Tensor
    name: str = "the reference"

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the cosine."""
        vectors = embeddings(output)
        wanted = self.embedding.reshape(-1).to(vectors.device, vectors.dtype)
        if wanted.shape[0] != vectors.shape[1]:
            raise InputError(
                f"the reference has {wanted.shape[0]} channels, the model's output "
                f"{vectors.shape[1]}"
            )

        def cosine(output: Any, _image: Rows) -> Tensor:
            return F.cosine_similarity(embeddings(output), wanted[None], dim=1)

        return Score(cosine, (f"likeness to {self.name}",) * len(vectors))


@dataclass(frozen=True, eq=False)
class Function(Target):
    """Anything: a function from the model's output to (row,), differentiable for most methods.

    Attributes:
        function: the function.
        name: what it tells, in words.

    """

    function: Callable[[Any], Tensor]
    name: str = "a function"

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the function."""
        return Score(lambda out, _image: self.function(out), (self.name,) * batch_of(output)[0])


TargetLike = Target | int | str | tuple[int | str, int | str] | Callable[[Any], Tensor] | None


def as_target(wanted: TargetLike) -> Target:
    """Return a target for what users write.

    None: the likeliest class. A number or a label: that class. `"top-2"`: the second likeliest. A
    pair: the first class rather than the second. A function: itself.

    Raises:
        InputError: none of these.

    """
    if wanted is None:
        return Likeliest()
    if isinstance(wanted, Target):
        return wanted
    if isinstance(wanted, str) and wanted.startswith("top-") and wanted[4:].isdecimal():
        return Likeliest(int(wanted[4:]) - 1)
    if isinstance(wanted, (int, str)) and not isinstance(wanted, bool):
        return Class(wanted)
    if isinstance(wanted, tuple) and len(wanted) == 2:
        return Contrast(*wanted)
    if callable(wanted):
        name = getattr(wanted, "__name__", "a function")
        return Function(wanted, "a function" if name == "<lambda>" else name)
    raise InputError(
        f"a target is a class (index or name), 'top-2', a pair of classes, a regard.explain "
        f"target or a function of the output; got {wanted!r}"
    )


def resolve(
    target: TargetLike, output: Any, labels: Sequence[str] = (), *, headless: bool = False
) -> Score:
    """Return the score of a target for images of which the model made `output`.

    A model without classes has no likeliest one: there, None is the length of its embedding.

    Args:
        target: what the user wants.
        output: what the model returned for the images.
        labels: the class names.
        headless: True if (batch, n) from this model is an embedding and no scores of classes.

    """
    if target is None and (headless or not has_classes(output)):
        return Function(lambda out: embeddings(out).norm(dim=1), "the embedding").score(output, ())
    return as_target(target).score(output, labels)


def _logits(classes: Int[Tensor, " image"], labels: Sequence[str]) -> Score:
    def logit(output: Any, image: Rows) -> Tensor:
        scores = class_scores(output)
        return scores.gather(1, classes.to(scores.device)[image][:, None])[:, 0]

    return Score(logit, tuple(label_of(index, labels) for index in classes.tolist()))


def tensor_of(output: Any) -> Tensor:
    """Return the tensor that matters in what a model returned: its logits, else its first.

    Raises:
        InputError: there is none.

    """
    if isinstance(output, Tensor):
        return output
    fields = output if isinstance(output, Mapping) else vars(output) if _has_fields(output) else {}
    for name in ("logits", "pooler_output", "image_embeds", "last_hidden_state", "out"):
        value = fields.get(name)
        if isinstance(value, Tensor):
            return value
    values = fields.values() if fields else output if isinstance(output, (tuple, list)) else ()
    for value in values:
        if isinstance(value, Tensor):
            return value
    raise InputError(
        f"the model returned a {type(output).__name__} without a tensor; give a target that is a "
        "function of it"
    )


def _has_fields(output: Any) -> bool:
    return hasattr(output, "__dict__") and not isinstance(output, (tuple, list))


def batch_of(output: Any) -> tuple[int, torch.device]:
    """Return how many rows an output has, and where they are."""
    if isinstance(output, (list, tuple)) and output and isinstance(output[0], Mapping):
        return len(output), tensor_of(output[0]).device  # detectors return a dict for each image
    tensor = tensor_of(output)
    return tensor.shape[0], tensor.device


def has_classes(output: Any) -> bool:
    """Return True if the output is scores of classes, and not features."""
    if isinstance(output, Tensor):
        return output.ndim == 2
    logits = output.get("logits") if isinstance(output, Mapping) else None
    logits = getattr(output, "logits", logits)
    return isinstance(logits, Tensor) and logits.ndim == 2


def class_scores(output: Any) -> Float[Tensor, "row class"]:
    """Return the class scores in what a model returned.

    Raises:
        InputError: it returned none.

    """
    scores = tensor_of(output)
    if scores.ndim != 2:
        raise InputError(
            f"the model returned {tuple(scores.shape)} and no scores of classes (batch, class); "
            "give another target, such as a function of its output"
        )
    return scores


def embeddings(output: Any) -> Float[Tensor, "row channel"]:
    """Return a vector a row: the pooled output, or the first token's, or the mean of a map."""
    tensor = tensor_of(output)
    if tensor.ndim == 2:
        return tensor
    if tensor.ndim == 3:
        return tensor[:, 0]
    return tensor.flatten(2).mean(2)

"""The training loop, for any network and any task that says what its loss is.

Every random number of a run is a function of (seed, epoch, step): the batches by
`regard.data.Batches`, dropout and the like by seeding torch before each step. A checkpoint
therefore needs no random state, and a run that was killed ends with the very weights that it
would have had.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from regard.core.errors import InputError, RegardError
from regard.core.seeding import derive_seed, preserved_random_state
from regard.core.shapes import Images
from regard.train.checkpoint import Progress, load_checkpoint, save_checkpoint
from regard.train.depthwise import quick_depthwise
from regard.train.device import Fabric, start_fabric
from regard.train.interrupt import StopRequest, stop_request
from regard.train.journal import Journal
from regard.train.objective import Classification, Objective, Outcome, figures_of, summed
from regard.train.progress import TrainingProgress
from regard.train.recipe import (
    MovingAverage,
    Recipe,
    learning_rate,
    make_optimizer,
    set_learning_rate,
)

CHECKPOINT = "checkpoint.pt"

_LOOK_EVERY = 20
"""Steps between two looks at the loss: on a GPU each look waits for the device."""

_SECONDS_BETWEEN_CHECKPOINTS = 120.0


@runtime_checkable
class EpochBatches(Protocol):
    """What the loop needs of its data: `regard.data.Batches`, or anything like it."""

    def __len__(self) -> int:
        """Return the steps an epoch."""
        ...

    def epoch(self, index: int, start_step: int = 0) -> Iterator[tuple[Images, Any]]:
        """Yield (images in [0, 1], labels or what else is true) of epoch `index` from a step on."""
        ...


class Diverged(InputError):
    """The loss or a gradient became NaN or infinite."""


class Interrupted(RegardError):
    """Training was stopped by Ctrl-C; its checkpoint is written."""


def fit(
    model: nn.Module,
    batches: EpochBatches,
    *,
    out: Path,
    recipe: Recipe | None = None,
    objective: Objective | None = None,
    normalise: Callable[[Tensor], Tensor] | None = None,
    validation: EpochBatches | None = None,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    seed: int = 0,
    fabric: Fabric | None = None,
    compile: bool = False,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """Train `model` in place and leave it on the CPU with its final weights, in eval mode.

    The folder gets `metrics.jsonl`, TensorBoard events and, while training goes on,
    `checkpoint.pt`. Where the folder holds a checkpoint, training goes on from it.

    Args:
        model: takes images (batch, 3, height, width); without an objective it returns logits
            (batch, class).
        batches: training images in [0, 1] and labels, or what else the objective needs.
        out: the run's folder, which exists.
        recipe: everything that decides how to train; the default is `Recipe()`.
        objective: the task's loss; by default a classifier's, with the recipe's smoothing.
        normalise: applied to the images of every batch.
        validation: images to measure after each epoch; never the test split.
        measure: returns further figures of the network, in eval mode and with the weights that
            would be kept, after each epoch; their names get `validation_` in front.
        seed: of dropout and other randomness inside the model.
        fabric: device, precision and processes; by default what `start_fabric()` finds.
        compile: run the model through `torch.compile`.
        quiet: show no progress.

    Returns:
        One dictionary of figures an epoch, as in `metrics.jsonl`.

    Raises:
        Diverged: the loss or a gradient became NaN or infinite; the last good checkpoint stays.
        Interrupted: Ctrl-C; the checkpoint is written and the same call goes on.

    """
    fabric = fabric or start_fabric()
    recipe = recipe or Recipe()
    objective = objective or Classification(recipe.label_smoothing)
    run = _Run(model, batches, recipe, objective, normalise, seed, fabric, out, compile)
    try:
        with preserved_random_state(), stop_request() as stop:
            return run.train(validation, measure, stop, quiet=quiet)
    finally:
        model.to("cpu").eval()


class _Run:
    """The moving parts of one run: model, optimizer, average, and how far they are."""

    def __init__(
        self,
        model: nn.Module,
        batches: EpochBatches,
        recipe: Recipe,
        objective: Objective,
        normalise: Callable[[Tensor], Tensor] | None,
        seed: int,
        fabric: Fabric,
        out: Path,
        compile: bool,
    ) -> None:
        self.batches, self.recipe, self.normalise = batches, recipe, normalise
        self.objective = objective
        self.seed, self.fabric, self.out = seed, fabric, out
        # Convolutions are about twice as fast with the channels last, on CPU and GPU.
        self.model = model.to(fabric.device)
        self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.optimizer = make_optimizer(self.model, recipe)
        self.progress = Progress()
        self._resume()
        self.average = MovingAverage(self.model, recipe.ema) if recipe.ema else None
        if self._saved and self.average:
            self.average.state = self._saved["average"]
        forward: Any = torch.compile(self.model) if compile else self.model
        self.forward, self.fabric_optimizer = fabric.setup(forward, self.optimizer)
        # What is compiled is compiled as it is.
        self.quick = nullcontext() if compile else quick_depthwise(self.model, fabric.device)
        self.tensors = list(self.model.state_dict(keep_vars=True).items())
        self.saved_at = time.monotonic()

    @property
    def steps(self) -> int:
        return len(self.batches)

    def _resume(self) -> None:
        path = self.out / CHECKPOINT
        self._saved: dict[str, Any] = {}
        if not path.is_file():
            return
        self._saved, self.progress = load_checkpoint(path, self.fabric.device)
        if len(self.progress.sums) not in (0, self._sums):
            raise InputError(
                f"{path} was written by another version of Regard; delete it to start "
                f"{self.out} anew"
            )
        try:
            self.model.load_state_dict(self._saved["model"])
            self.optimizer.load_state_dict(self._saved["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} belongs to another network or recipe; choose another --out or delete it"
            ) from error

    @property
    def _sums(self) -> int:
        return 2 + 2 * len(self.objective.shares)

    def save(self) -> None:
        """Write the checkpoint (by one process only)."""
        self.saved_at = time.monotonic()
        if self.fabric.is_global_zero:
            state = {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average.state if self.average else {},
            }
            save_checkpoint(self.out / CHECKPOINT, state, self.progress)

    def train(
        self,
        validation: EpochBatches | None,
        measure: Callable[[nn.Module], dict[str, float]] | None,
        stop: StopRequest,
        *,
        quiet: bool,
    ) -> list[dict[str, Any]]:
        """Train from where the checkpoint is to the last epoch."""
        quiet = quiet or not self.fabric.is_global_zero
        done = self.progress.epoch * self.steps + self.progress.step
        journal = Journal(self.out, self.progress.epoch) if self.fabric.is_global_zero else None
        try:
            with TrainingProgress(self.recipe.epochs, self.steps, done=done, quiet=quiet) as bar:
                while self.progress.epoch < self.recipe.epochs:
                    figures = self._epoch(bar, stop)
                    figures |= self._validate(validation, measure)
                    if journal:
                        journal.write(figures)
                    self.progress = Progress(epoch=self.progress.epoch + 1)
                    self.save()
                    bar.epoch_done(figures)
        finally:
            if journal:
                journal.close()
        if self.average:
            self.model.load_state_dict(self.average.state)
        return journal.lines if journal else []

    def _epoch(self, bar: TrainingProgress, stop: StopRequest) -> dict[str, Any]:
        """Train to the end of the current epoch and return its figures."""
        self.forward.train()
        epoch, first = self.progress.epoch, self.progress.step
        begun = self.progress.sums or [0.0] * self._sums
        sums = torch.tensor(begun, dtype=torch.float64, device=self.fabric.device)
        since, looked = time.monotonic(), first
        rate, seen = 0.0, begun[1]
        for step, (images, truth) in enumerate(self.batches.epoch(epoch, first), start=first):
            sums += self._step(images, truth, epoch * self.steps + step)
            last = step + 1 == self.steps
            asked = stop.requested and self.fabric.world_size == 1
            if last or asked or step + 1 - looked >= _LOOK_EVERY:
                done = sums.tolist()
                self._refuse_nan(done[0], epoch, step)
                self.progress = Progress(epoch, step + 1, done)
                rate = (done[1] - seen) / (time.monotonic() - since)
                figures = figures_of(done, self.objective.shares)
                bar.update(epoch, step + 1 - looked, figures, rate)
                looked = step + 1
                self._pause_if_due(stop, last=last)
        figures = figures_of(self._over_processes(sums).tolist(), self.objective.shares)
        return {
            "epoch": epoch,
            **{f"train_{name}": value for name, value in figures.items()},
            "lr": learning_rate((epoch + 1) * self.steps - 1, self._total, self.recipe),
            "images_per_second": rate * self.fabric.world_size,
        }

    @property
    def _total(self) -> int:
        return self.recipe.epochs * self.steps

    def _step(self, images: Tensor, truth: Any, step: int) -> Tensor:
        """Take one step; return what it adds to the sums, still on the device."""
        images, truth = self._to_device(images), self.fabric.to_device(truth)
        torch.manual_seed(derive_seed(self.seed, step))
        set_learning_rate(self.optimizer, learning_rate(step, self._total, self.recipe))
        outcome = self._outcome(images, truth)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(outcome.loss)
        if self.recipe.clip:
            self._clip(self.recipe.clip, step)
        self.fabric_optimizer.step()
        if self.average:
            self.average.update(self.tensors, step)
        return summed(outcome, self.objective.shares)

    def _outcome(self, images: Tensor, truth: Any) -> Outcome:
        try:
            with self.quick:
                return self.objective.training(self.forward, images, truth)
        except ValueError as error:
            # torch's batch norm; there is nothing that one value could be compared with.
            if "more than 1 value per channel" not in str(error):
                raise
            rows, cols = images.shape[2:]
            raise InputError(
                f"a batch of {len(images)} of {rows}×{cols} pixels comes to a map of one cell, "
                "which batch norm cannot learn from; give larger images, or more of them a batch"
            ) from error

    def _clip(self, norm: float, step: int) -> None:
        try:
            self.fabric.clip_gradients(self.forward, self.fabric_optimizer, max_norm=norm)
        except RuntimeError as error:
            if "non-finite" not in str(error):
                raise
            epoch, within = divmod(step, self.steps)
            raise self._diverged("a gradient is infinite or nan", epoch, within) from error

    def _to_device(self, images: Tensor) -> Tensor:
        images = images.to(self.fabric.device, non_blocking=True)
        if self.normalise is not None:
            images = self.normalise(images)
        return images.contiguous(memory_format=torch.channels_last)

    def _over_processes(self, sums: Tensor) -> Tensor:
        reduced = self.fabric.all_reduce(sums, reduce_op="sum")
        return reduced if isinstance(reduced, Tensor) else sums

    def _refuse_nan(self, loss: float, epoch: int, step: int) -> None:
        """NaN stays in a sum, so that looking now and then misses none."""
        if loss - loss != 0:
            raise self._diverged(f"the loss is {loss}", epoch, step)

    def _diverged(self, what: str, epoch: int, step: int) -> Diverged:
        kept = (self.out / CHECKPOINT).is_file()
        clip = "" if self.recipe.clip else " or clip the gradient"
        return Diverged(
            f"training diverged: {what} at epoch {epoch + 1}, step {step + 1}; "
            f"lower the learning rate (now at most {self.recipe.lr}){clip}; "
            f"{'the last good checkpoint' if kept else 'no checkpoint'} is in {self.out}"
        )

    def _pause_if_due(self, stop: StopRequest, *, last: bool) -> None:
        """Write a checkpoint inside long epochs, and stop where Ctrl-C was pressed."""
        late = time.monotonic() - self.saved_at > _SECONDS_BETWEEN_CHECKPOINTS
        # Processes that train together stop together, or the others would wait for ever.
        asked = self.fabric.strategy.reduce_boolean_decision(stop.requested, all=False)
        if asked or (late and not last):
            self.save()
        if asked:
            raise Interrupted(
                f"stopped in epoch {self.progress.epoch + 1}; the same command goes on from there"
            )

    @torch.no_grad()
    def _validate(
        self,
        validation: EpochBatches | None,
        measure: Callable[[nn.Module], dict[str, float]] | None,
    ) -> dict[str, float]:
        """Measure the averaged weights, and put the current ones back."""
        if validation is None and measure is None:
            return {}
        current = {name: tensor.detach().clone() for name, tensor in self.tensors}
        if self.average:
            self.model.load_state_dict(self.average.state)
        self.forward.eval()
        figures: dict[str, float] = {}
        try:
            if validation is not None:
                figures |= self._judge(validation)
            if measure is not None:
                figures |= measure(self.model)
        finally:
            self.model.load_state_dict(current)
        return {f"validation_{name}": value for name, value in figures.items()}

    def _judge(self, validation: EpochBatches) -> dict[str, float]:
        shares = self.objective.shares
        sums = torch.zeros(self._sums, dtype=torch.float64, device=self.fabric.device)
        for images, truth in validation.epoch(0):
            truth = self.fabric.to_device(truth)
            outcome = self.objective.validation(self.forward, self._to_device(images), truth)
            sums += summed(outcome, shares)
        return figures_of(self._over_processes(sums).tolist(), shares)

"""What a study does: each trial once, the test split once, and nothing lost."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from tests.compare.quick_study import Faked, study

from regard.compare import run, run_study
from regard.compare.agreement import agreed
from regard.compare.progress import StudyProgress
from regard.compare.store import Store
from regard.compare.study import plain_and_attending
from regard.compare.trial import Trial, final_trials, tuning_trials
from regard.compare.work import in_turn
from regard.core.errors import InputError
from regard.tasks import Machine
from regard.train import Interrupted


def test_every_variant_is_trained_with_every_seed_and_paired_by_it(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    found = run(study(), tmp_path, quiet=True)
    assert [key for key, _ in faked.trained] == [
        ("resnet8(width=2)", name, seed, 0.0) for seed in (0, 1) for name in ("none", "eca", "cbam")
    ]
    plain, eca, cbam = found["variants"]
    assert plain["values"] == [0.8, 0.801]
    assert eca["against_plain"]["mean"] == pytest.approx(0.01)
    assert cbam["against_plain"]["mean"] == 0
    assert found["study"]["test_images"] == 100
    assert eca["training_time"] == 1.0


def test_what_is_finished_is_neither_trained_nor_tested_again(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    first = run(study(), tmp_path, quiet=True)
    again = run(study(), tmp_path, quiet=True)
    assert len(faked.trained) == len(faked.tested) == 6
    assert again["variants"] == first["variants"]


def test_the_table_tells_the_runs_of_each_variant_and_the_time_left(tmp_path, monkeypatch):
    from rich.console import Console

    Faked(monkeypatch)
    asked = study()
    variants = plain_and_attending(asked, asked.models[0])
    trials = final_trials(asked, variants)
    with Store(tmp_path) as store:
        store.add_run(trials[0], {"curves": [{"train_accuracy": 0.75}]})
        progress = StudyProgress(store, variants, trials, quiet=True)
        screen = Console(width=100, record=True, quiet=False, file=io.StringIO())
        screen.print(progress._table())
    told = screen.export_text()
    assert "1/2" in told
    assert "75.0% on its training images" in told
    assert "1 of 6 runs" in told


def test_the_test_split_is_not_read_before_all_is_trained(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)

    def broken(*given):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        fourth = iter([None, None, None])
        train = faked.train
        patched.setattr(
            "regard.compare.work.train_trial",
            lambda *given: broken() if next(fourth, 0) == 0 else train(*given),
        )
        with pytest.raises(KeyboardInterrupt):
            run(study(), tmp_path, quiet=True)
    assert len(faked.trained) == 3
    assert faked.tested == []
    run(study(), tmp_path, quiet=True)
    assert len(faked.trained) == len(faked.tested) == 6


def test_a_stopped_study_says_how_far_it_is(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    train = faked.train

    def stopped(*given):
        if len(faked.trained) == 2:
            raise Interrupted("stopped in epoch 1")
        return train(*given)

    monkeypatch.setattr("regard.compare.work.train_trial", stopped)
    with pytest.raises(Interrupted, match="stopped with 2 of 6 runs finished"):
        run(study(), tmp_path, quiet=True)


def test_seeds_added_after_the_test_split_was_read_are_said(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    assert run(study(), tmp_path, quiet=True)["study"]["notes"] == []
    found = run(study(seeds=3), tmp_path, quiet=True)
    assert len(faked.trained) == len(faked.tested) == 9
    (note,) = found["study"]["notes"]
    assert "seeds 2 were added after the test split was read" in note


def test_fewer_seeds_take_nothing_away(tmp_path, monkeypatch):
    Faked(monkeypatch)
    run(study(seeds=3), tmp_path, quiet=True)
    assert run(study(seeds=1), tmp_path, quiet=True)["study"]["seeds"] == [0, 1, 2]


def test_tuning_is_refused_once_the_test_split_was_read(tmp_path, monkeypatch):
    Faked(monkeypatch)
    run(study(), tmp_path, quiet=True)
    with pytest.raises(InputError, match="would be tuning on the test split"):
        run(study(learning_rates=(0.1, 0.2)), tmp_path, quiet=True)
    slower = study().recipe.changed(lr=0.05)
    with pytest.raises(InputError, match=r"recipe: lr was 0.2 and is now 0.05, .*tuning on the"):
        run(study(recipe=slower), tmp_path, quiet=True)


def test_the_margin_decides_what_is_called_equal_and_no_figure(tmp_path, monkeypatch):
    Faked(monkeypatch)
    monkeypatch.setattr(run_study, "test_run", lambda study, folder, device: {
        "value": 0.8 + 0.0001 * int(folder.name[-1]) * ("eca" in folder.parent.name),
        "images": 100,
    })  # fmt: skip
    asked = study(attention=("eca",), seeds=8)
    first = run(asked, tmp_path / "a", quiet=True)
    strict = run(asked.changed(margin=0.0003), tmp_path / "b", quiet=True)
    ours, theirs = (found["variants"][1]["against_plain"] for found in (first, strict))
    assert (ours["equivalent"], theirs["equivalent"]) == (True, False)
    assert (first["study"]["margin"], strict["study"]["margin"]) == (0.002, 0.0003)
    assert first["study"]["notes"] == strict["study"]["notes"] == []
    changed = run(asked.changed(margin=0.0003), tmp_path / "a", quiet=True)
    assert changed["variants"][1]["against_plain"] == theirs
    (note,) = changed["study"]["notes"]
    assert "margin of equivalence was changed from ±0.2 to ±0.03 points after the test" in note
    again = run(asked.changed(margin=0.0003), tmp_path / "a", quiet=True)
    assert again["study"]["notes"] == [note], "said once"


def test_before_the_test_split_is_read_the_margin_may_be_chosen(tmp_path):
    with Store(tmp_path) as store:
        agreed(store, study())
        assert agreed(store, study(margin=0.01)).margin == 0.01
        assert store.fact("notes") is None


def test_a_folder_with_another_study_is_refused(tmp_path, monkeypatch):
    with Store(tmp_path) as store:
        agreed(store, study())
        with pytest.raises(InputError, match=r"models was .*resnet8.* in the study that .* holds"):
            agreed(store, study(models=("resnet20",)))


def test_a_diverged_run_has_no_figure_and_is_said(tmp_path, monkeypatch):
    Faked(monkeypatch, diverges=lambda trial: trial.variant.name == "eca" and trial.seed == 1)
    found = run(study(), tmp_path, quiet=True)
    assert found["variants"][1]["seeds"] == [0]
    (note,) = found["study"]["notes"]
    assert "eca, seed 1 diverged; it is in no mean" in note
    assert found["variants"][1]["diverged"] == [1]
    assert "; 1 of 2 runs diverged" in found["variants"][1]["sentence"]


def test_every_variant_gets_the_learning_rate_that_is_best_for_it(tmp_path, monkeypatch):
    best = {"none": 0.1, "eca": 0.2, "cbam": 0.1}
    faked = Faked(monkeypatch, accuracy=lambda t: 0.9 if t.rate == best[t.variant.name] else 0.5)
    asked = study(learning_rates=(0.1, 0.2, 0.4))
    found = run(asked, tmp_path, quiet=True)
    searches = [key for key, _ in faked.trained if key[3]]
    assert len(searches) == len(set(searches)) == 9
    assert all(seed == 0 for _, _, seed, _ in searches)
    assert {key[1]: rate for key, rate in faked.trained if not key[3]} == best
    assert "eca 0.2" in found["study"]["notes"][-1]


def test_learning_rates_are_judged_on_training_images_only():
    from regard.compare.task import options_of

    asked = study(learning_rates=(0.1,))
    variants = plain_and_attending(asked, asked.models[0])
    (search, *_), (final, *_) = tuning_trials(asked, variants), final_trials(asked, variants)
    assert options_of(asked, search, 0.1).validation == asked.validation
    assert options_of(asked, search, 0.1).recipe.lr == 0.1
    assert options_of(asked, final, None).validation == 0


def test_variants_differ_in_nothing_but_their_attention():
    from regard.compare.task import options_of

    asked = study()
    told = [
        {**vars(options_of(asked, trial, None)), "attention": None}
        for trial in final_trials(asked, plain_and_attending(asked, asked.models[0]))
        if trial.seed == 1
    ]
    assert len(told) == 3
    assert told[0] == told[1] == told[2]
    assert told[0]["seed"] == 1


def test_a_trial_that_another_process_works_on_is_left_to_it(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    asked = study(attention=(), seeds=1)
    (trial,) = final_trials(asked, plain_and_attending(asked, asked.models[0]))
    folder = trial.folder(tmp_path)
    folder.parent.mkdir(parents=True)
    lock = FileLock(folder.parent / "seed-0.lock")
    lock.acquire()
    looked = []

    def other_finishes(seconds):
        looked.append(list(faked.trained))
        lock.release()

    monkeypatch.setattr("regard.compare.work.time.sleep", other_finishes)
    with Store(tmp_path) as store:
        progress = StudyProgress(store, [], [trial], quiet=True)
        in_turn(store, asked, [(trial, None)], Machine(), progress)
    assert looked == [[]], "it waits while the other has the lock, and takes over once it is gone"
    assert [key for key, _ in faked.trained] == [trial.key]


_KILLED = """
import os, signal, sys
from pathlib import Path
import pytest
from tests.compare.quick_study import Faked, study
from regard.compare import run

with pytest.MonkeyPatch.context() as patch:
    faked = Faked(patch)
    train = faked.train
    def dies(study, trial, rate, out, machine):
        if len(faked.trained) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        train(study, trial, rate, out, machine)
    patch.setattr("regard.compare.work.train_trial", dies)
    run(study(), Path(sys.argv[1]), quiet=True)
"""


def test_a_killed_study_loses_no_finished_run(tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), str(root / "src")])
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    faked = Faked(monkeypatch)
    run(study(), tmp_path, quiet=True)
    assert [key[1:3] for key, _ in faked.trained] == [("eca", 1), ("cbam", 1)]


def test_a_run_that_was_trained_and_not_yet_written_down_is_not_trained_again(
    tmp_path, monkeypatch
):
    from tests.compare.quick_study import leave_run

    faked = Faked(monkeypatch)
    asked = study()
    first = Trial(plain_and_attending(asked, asked.models[0])[0], 0)
    leave_run(first.folder(tmp_path), first, None, accuracy=0.75)
    run(asked, tmp_path, quiet=True)
    assert first.key not in [key for key, _ in faked.trained]
    with Store(tmp_path) as store:
        row = store.run(first)
    assert row is not None
    assert row["curves"][0]["train_accuracy"] == 0.75

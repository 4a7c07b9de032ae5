"""Parts of a study that machines made apart: put together they are the study, and stay honest."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compare.quick_study import Faked, study

from regard.compare import export, merge, run
from regard.compare.merge import joined
from regard.compare.part import Part, read_part
from regard.compare.report_study import report
from regard.compare.store import FILE, Store
from regard.core.errors import InputError


def part(place, **changes):
    """Run a study and return the file that it was exported to."""
    run(study(**changes), place, quiet=True)
    file = place.with_suffix(".json")
    export(place, file)
    return file


def edited(file, change):
    """Change an exported file's values."""
    told = json.loads(file.read_text())
    change(told)
    file.write_text(json.dumps(told))
    return file


def rows(folder):
    with Store(folder) as store:
        return store.runs(), store.tests()


def test_merged_parts_are_the_study_that_one_machine_would_have_made(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    begun(tmp_path / "b", faked, 0, seeds=(2,))  # all seeds are fixed before any part is read
    files = [part(tmp_path / "a", seeds=(0, 1)), part(tmp_path / "b", seeds=(2,))]
    alone = run(study(seeds=3), tmp_path / "alone", quiet=True)
    trained, tested = len(faked.trained), len(faked.tested)
    taken = merge(tmp_path / "all", files)
    assert [(each.runs, each.tests, each.known, each.kept) for each in taken] == [
        (6, 6, 0, ()),
        (3, 3, 0, ()),
    ]
    again = run(study(seeds=3), tmp_path / "all", quiet=True)
    assert (len(faked.trained), len(faked.tested)) == (trained, tested), "nothing is left to do"
    for ours, theirs in zip(again["variants"], alone["variants"], strict=True):
        assert {**ours, "latency": 0, "on_front": 0} == {**theirs, "latency": 0, "on_front": 0}
    assert again["study"]["notes"] == []


def test_only_what_is_missing_is_trained_and_read(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    merge(tmp_path / "all", [part(tmp_path / "a", seeds=(4,))])
    faked.trained.clear()
    faked.tested.clear()
    found = run(study(seeds=(4, 7)), tmp_path / "all", quiet=True)
    assert [key[1:3] for key, _ in faked.trained] == [("none", 7), ("eca", 7), ("cbam", 7)]
    assert [folder.name for folder in faked.tested] == ["seed-7"] * 3
    assert found["variants"][0]["seeds"] == [4, 7]


def test_a_report_of_merged_parts_needs_neither_data_nor_weights(tmp_path, monkeypatch):
    Faked(monkeypatch)
    merge(tmp_path / "all", [part(tmp_path / "a"), part(tmp_path / "b", seeds=(2, 3))])
    assert not (tmp_path / "all" / "runs").exists()
    told = json.loads(report(tmp_path / "all")["findings.json"].read_text())
    assert told["variants"][1]["seeds"] == [0, 1, 2, 3]
    assert told["variants"][1]["latency"] is not None
    assert told["pictures"] == []


def test_attention_of_two_parts_stands_in_one_order(tmp_path, monkeypatch):
    Faked(monkeypatch)
    files = [part(tmp_path / name, attention=(name,)) for name in ("eca", "cbam")]
    merge(tmp_path / "all", files)
    told = json.loads(report(tmp_path / "all")["findings.json"].read_text())
    assert [variant["name"] for variant in told["variants"]] == ["none", "eca", "cbam"]
    assert [variant["latency"] is None for variant in told["variants"]] == [False, False, True], (
        "times of two machines do not mix"
    )


# What does not fit together


def other_recipe(told):
    told["study"]["recipe"]["lr"] = 0.05


def other_margin(told):
    told["study"]["margin"] = 0.01


def other_data(told):
    for line in told["runs"]:
        line["run"]["data"] = "beef"


def other_test_split(told):
    for line in told["runs"]:
        line["test"]["images"] = 99


def other_network(told):
    told["variants"][1]["cost"]["parameters"] += 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_recipe, r"recipe: lr is 0.2 and there 0.05"),
        (other_margin, "margin is 0.002 and there 0.01"),
        (other_data, "fingerprint f00d and there beef"),
        (other_test_split, "test images is 100 and there 99"),
        (other_network, r"parameters of resnet8\(width=2\) eca is"),
    ],
)
def test_what_is_another_study_is_refused_and_leaves_nothing(
    change, message, tmp_path, monkeypatch
):
    Faked(monkeypatch)
    first, third = part(tmp_path / "a"), part(tmp_path / "c", seeds=(3,))
    second = edited(part(tmp_path / "b", seeds=(2,)), change)
    with pytest.raises(InputError, match=message) as refused:
        merge(tmp_path / "all", [first, third, second])
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "all").exists()
    before = rows(tmp_path / "a")
    with pytest.raises(InputError, match=message):
        merge(tmp_path / "a", [third, second])
    assert rows(tmp_path / "a") == before, "all parts are taken, or none"


def test_parts_whose_learning_rates_differ_are_refused(tmp_path, monkeypatch):
    best = {0: 0.1, 5: 0.2}
    Faked(monkeypatch, accuracy=lambda t: 0.9 if t.rate == best[t.seed] else 0.5)
    rates = {"learning_rates": (0.1, 0.2), "attention": ("eca",)}
    first, second = (part(tmp_path / n, seeds=(s,), **rates) for n, s in (("a", 0), ("b", 5)))
    with pytest.raises(InputError, match=r"learning rate of .* eca is 0.1 and there 0.2"):
        merge(tmp_path / "all", [first, second])


def test_a_variant_keeps_the_rate_that_its_runs_have(tmp_path, monkeypatch):
    best = {0: 0.1, 5: 0.2}
    faked = Faked(monkeypatch, accuracy=lambda t: 0.9 if t.rate == best[t.seed] else 0.5)
    rates = {"learning_rates": (0.1, 0.2), "attention": ("eca",)}
    searched = begun(tmp_path / "b", faked, 4, seeds=(5,), **rates)
    merge(tmp_path / "all", [searched, part(tmp_path / "a", seeds=(0,), **rates)])
    faked.trained.clear()
    run(study(seeds=(5, 0), **rates), tmp_path / "all", quiet=True)
    assert [rate for _, rate in faked.trained] == [0.1, 0.1], "though seed 5 alone prefers 0.2"


def test_the_same_run_twice_stays_as_it_was_and_is_said(tmp_path, monkeypatch):
    Faked(monkeypatch)
    first = part(tmp_path / "a")
    monkeypatch.undo()
    faked = Faked(monkeypatch, accuracy=lambda trial: 0.25)
    faked.test = lambda *given: {"value": 0.3, "images": 100}
    monkeypatch.setattr("regard.compare.run_study.test_run", faked.test)
    second = part(tmp_path / "b", seeds=(1, 2))
    taken = merge(tmp_path / "all", [first, second])[1]
    assert (taken.runs, taken.tests, taken.known, len(taken.kept)) == (3, 3, 0, 3)
    found = run(study(seeds=3), tmp_path / "all", quiet=True)
    assert found["variants"][0]["values"] == [0.8, 0.801, 0.3]
    notes = [note for note in found["study"]["notes"] if "was trained twice" in note]
    assert len(notes) == 3
    assert any("none, seed 1 was trained twice, with different figures" in note for note in notes)
    merge(tmp_path / "all", [second])
    again = run(study(seeds=3), tmp_path / "all", quiet=True)
    assert again["study"]["notes"] == found["study"]["notes"], "said once"


def test_a_figure_is_not_taken_without_its_run(tmp_path, monkeypatch):
    begun(tmp_path / "all", Faked(monkeypatch), 4)
    monkeypatch.undo()
    Faked(monkeypatch, accuracy=lambda trial: 0.25)
    (taken,) = merge(tmp_path / "all", [part(tmp_path / "b")])
    assert (taken.runs, taken.tests, taken.known, len(taken.kept)) == (2, 2, 0, 4)
    assert sorted(key[1:] for key in rows(tmp_path / "all")[1]) == [("cbam", 1), ("eca", 1)]


# The test split


def begun(place, faked, count, **changes):
    """Begin a study that stops after so many runs, and export what it has."""
    train = faked.train

    def stops(*given):
        if len(faked.trained) == count:
            raise KeyboardInterrupt
        train(*given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("regard.compare.work.train_trial", stops)
        with pytest.raises(KeyboardInterrupt):
            run(study(**changes), place, quiet=True)
    export(place, file := place.with_suffix(".json"))
    return file


def test_runs_whose_figure_did_not_come_are_not_read_elsewhere(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    file = begun(tmp_path / "far", faked, 4)
    merge(tmp_path / "here", [file])
    with pytest.raises(
        InputError, match=r"but 4 runs of .* their weights are elsewhere .*none, se"
    ):
        run(study(), tmp_path / "here", quiet=True)
    assert faked.tested == [], "nothing is read before all can be"
    run(study(), tmp_path / "far", quiet=True)
    assert {folder.parents[2].name for folder in faked.tested} == {"far"}
    export(tmp_path / "far", file)
    taken = merge(tmp_path / "here", [file])[0]
    assert (taken.runs, taken.known, taken.tests) == (0, 6, 6)
    faked.tested.clear()
    found = run(study(), tmp_path / "here", quiet=True)
    assert found["variants"][0]["values"] == [0.8, 0.801]
    assert faked.tested == [], "each figure is read once, where the weights are"


def test_weights_of_another_run_are_not_read_for_one_that_came(tmp_path, monkeypatch):
    from tests.compare.quick_study import leave_run

    from regard.compare.study import plain_and_attending
    from regard.compare.trial import Trial

    faked = Faked(monkeypatch)
    merge(tmp_path / "here", [begun(tmp_path / "far", faked, 1)])
    mine = Trial(plain_and_attending(study(), study().models[0])[0], 0)
    leave_run(mine.folder(tmp_path / "here"), mine, None, accuracy=0.1)
    with pytest.raises(InputError, match="but 1 runs of"):
        run(study(), tmp_path / "here", quiet=True)


def test_a_report_before_all_parts_are_in_says_what_is_missing(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    unfinished = begun(tmp_path / "far", faked, 4, seeds=(5, 6))
    merge(tmp_path / "here", [part(tmp_path / "a"), unfinished])
    told = json.loads(report(tmp_path / "here")["findings.json"].read_text())
    assert told["variants"][0]["seeds"] == [0, 1], "a run without its figure does not count"
    assert any("not finished: 6 of 12 runs are not in yet" in n for n in told["study"]["notes"])


def test_a_seed_that_was_asked_for_after_a_part_was_read_is_said(tmp_path, monkeypatch):
    Faked(monkeypatch)
    first = part(tmp_path / "a")
    late = part(tmp_path / "b", seeds=(2,))
    merge(tmp_path / "all", [first, late])
    (note,) = json.loads(report(tmp_path / "all")["findings.json"].read_text())["study"]["notes"]
    assert "seeds 2 were added after the test split was read" in note


def test_seeds_that_were_fixed_beforehand_are_not_called_added(tmp_path, monkeypatch):
    faked = Faked(monkeypatch)
    begun(tmp_path / "b", faked, 0, seeds=(2,))
    first = part(tmp_path / "a")
    merge(tmp_path / "all", [first, part(tmp_path / "b", seeds=(2,))])
    told = json.loads(report(tmp_path / "all")["findings.json"].read_text())
    assert told["study"]["notes"] == []


def test_a_seed_was_fixed_when_the_first_machine_asked_for_it(tmp_path, monkeypatch):
    early = begun(tmp_path / "b", Faked(monkeypatch), 0, seeds=(2,))
    files = [part(tmp_path / "a"), part(tmp_path / "c", seeds=(2,)), early]
    merge(tmp_path / "all", files)
    told = json.loads(report(tmp_path / "all")["findings.json"].read_text())
    assert told["study"]["notes"] == []


# Kept whole

_KILLED = """
import os, signal, sys
from regard.compare import merge
from regard.compare.store import Store

keep = Store.keep

def dies(store, runs, tests):
    keep(store, dict(list(runs.items())[:2]), {})
    os.kill(os.getpid(), signal.SIGKILL)

Store.keep = dies
merge(sys.argv[1], sys.argv[2:])
"""


def test_a_killed_merge_leaves_the_study_as_it_was(tmp_path, monkeypatch):
    Faked(monkeypatch)
    part(tmp_path / "a")
    file = part(tmp_path / "b", seeds=(2, 3))
    before = rows(tmp_path / "a"), read_part(tmp_path / "a")
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path / "a"), str(file)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert (rows(tmp_path / "a"), read_part(tmp_path / "a")) == before
    assert merge(tmp_path / "a", [file])[0].runs == 6


def test_a_part_is_the_same_as_a_file_and_as_a_folder(tmp_path, monkeypatch):
    Faked(monkeypatch)
    file = part(tmp_path / "a")
    folder, read = read_part(tmp_path / "a"), read_part(file)
    assert replace(folder, where=file) == read
    assert len(read.runs) == len(read.tests) == 6
    before = file.read_bytes()
    export(tmp_path / "a", file)
    assert file.read_bytes() == before


def test_a_study_that_is_not_finished_can_be_exported(tmp_path, monkeypatch):
    read = read_part(begun(tmp_path / "a", Faked(monkeypatch), 2))
    assert (len(read.runs), len(read.tests)) == (2, 0)
    assert "test_read" not in read.facts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda told: told.pop("format"), "holds no study"),
        (lambda told: told.update(version=2), "has version 2"),
        (lambda told: told.pop("runs"), "is damaged .*runs"),
        (lambda told: told["runs"].append(told["runs"][0]), "is there twice"),
        (lambda told: told["runs"][0]["test"].update(value=83.0), "the test figure of"),
        (lambda told: told["runs"][0].update(run=None), "is damaged"),
        (lambda told: told["study"].update(seeds=[1, 1]), "is damaged .*different ones"),
        (lambda told: told["variants"][0].update(model="vgg"), "vgg none is no variant"),
        (lambda told: told["variants"][0].pop("cost"), "is damaged"),
    ],
)
def test_a_damaged_file_is_one_line(change, message, tmp_path, monkeypatch):
    Faked(monkeypatch)
    file = edited(part(tmp_path / "a"), change)
    with pytest.raises(InputError, match=message) as refused:
        merge(tmp_path / "all", [file])
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "all" / FILE).exists()


def test_what_is_no_part_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[1, 2")
    (tmp_path / "empty").mkdir()
    with Store(tmp_path / "bare"):
        pass
    for name, message in (
        ("a.json", "cannot be read"),
        ("empty", "holds no study;"),
        ("bare", "holds no study yet"),
        ("nowhere", "holds no study"),
    ):
        with pytest.raises(InputError, match=message):
            merge(tmp_path / "all", [tmp_path / name])
    with pytest.raises(InputError, match="nothing to merge"):
        merge(tmp_path / "all", [])


# In whatever order

ATTENTION, SEEDS = ("eca", "cbam", "simam"), range(4)


@st.composite
def parts(draw):
    """Return attention, seeds, facts, runs and readings of some part of one and the same study."""
    attention = draw(st.lists(st.sampled_from(ATTENTION), unique=True, min_size=1))
    seeds = draw(st.lists(st.sampled_from(SEEDS), unique=True, min_size=1))
    keys = [("net", name, seed, 0.0) for name in ("none", *attention) for seed in seeds]
    done = draw(st.sets(st.sampled_from(keys)))
    read = draw(st.sets(st.sampled_from(sorted(done)))) if done else set()
    times = st.sampled_from(["2026-01-01", "2026-01-02", "2026-01-03"])
    facts = {
        "planned": {
            "seeds": {str(seed): draw(times) for seed in seeds},
            "attention": {name: draw(times) for name in attention},
        },
        **({"test_read": draw(times)} if read else {}),
    }
    return attention, seeds, facts, done, read


def made(attention, seeds, facts, done, read):
    asked = study(models=("net",), attention=tuple(attention), seeds=tuple(seeds))
    figure = {"value": 0.5, "images": 10}
    runs = {key: {"curves": [{"epoch": 0, "train_loss": float("nan")}]} for key in done}
    return Part(Path("part"), asked, (), facts, runs, {key[:3]: figure for key in read})


def together(given):
    whole = Part(Path("whole"), given[0].study)
    for each in given:
        whole, _ = joined(whole, each)
    return whole


def content(whole):
    return (
        json.dumps([[list(key), run] for key, run in sorted(whole.runs.items())]),
        whole.tests,
        {**whole.facts, "planned": {k: sorted(v.items()) for k, v in
                                    whole.facts["planned"].items()}},
        {name: set(getattr(whole.study, name)) for name in ("seeds", "attention")},
    )  # fmt: skip


@settings(max_examples=60)
@given(st.lists(parts(), min_size=1, max_size=4), st.data())
def test_merging_is_idempotent_and_its_order_does_not_matter(drawn, more):
    order = more.draw(st.permutations(2 * list(range(len(drawn)))))
    some = [made(*values) for values in drawn]
    whole = together(some)
    assert content(together([some[place] for place in order])) == content(whole)
    again, taken = joined(whole, some[0])
    assert content(again) == content(whole)
    assert (taken.runs, taken.tests, taken.kept) == (0, 0, ())
    assert taken.known == len(some[0].runs)

"""Targets find what they name in any output, score each row of it, and refuse what is not there."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from regard.core.errors import InputError
from regard.core.labels import class_index
from regard.explain.mask_target import Region
from regard.explain.targets import (
    Class,
    Contrast,
    Function,
    Likeliest,
    Similarity,
    as_target,
    batch_of,
    class_scores,
    embeddings,
    has_classes,
    resolve,
    tensor_of,
)

# The second image's order of classes is not the first's.
LOGITS = torch.tensor([[1.0, 4.0, 2.0, 3.0], [5.0, 0.0, 7.0, 6.0]])
LABELS = ("tabby, tabby cat", "tiger cat", "Egyptian cat", "lynx, catamount")
COPIES = torch.tensor(
    [[10.0, 20.0, 30.0, 40.0], [11.0, 21.0, 31.0, 41.0], [12.0, 22.0, 32.0, 42.0]]
)


@dataclass
class Fields:
    """An output as libraries return them, with what matters not at the front."""

    loss: Tensor
    logits: Tensor


class Named(NamedTuple):
    hidden: Tensor
    more: Tensor


@pytest.mark.parametrize(
    ("wanted", "names", "scores"),
    [
        (None, ("tiger cat", "Egyptian cat"), [4.0, 7.0]),
        ("top-1", ("tiger cat", "Egyptian cat"), [4.0, 7.0]),
        ("top-2", ("lynx, catamount", "lynx, catamount"), [3.0, 6.0]),
        ("top-4", ("tabby, tabby cat", "tiger cat"), [1.0, 0.0]),
        (3, ("lynx, catamount",) * 2, [3.0, 6.0]),
        ("tiger cat", ("tiger cat",) * 2, [4.0, 0.0]),
        ("tabby, tabby cat", ("tabby, tabby cat",) * 2, [1.0, 5.0]),
        ("catamount", ("lynx, catamount",) * 2, [3.0, 6.0]),
        ("2", ("Egyptian cat",) * 2, [2.0, 7.0]),
        (("lynx", 0), ("lynx, catamount rather than tabby, tabby cat",) * 2, [2.0, 1.0]),
    ],
)
def test_classes_as_users_write_them(wanted, names, scores):
    score = resolve(wanted, LOGITS, LABELS)
    assert score.names == names
    assert score(LOGITS).tolist() == scores


def test_rows_are_copies_of_the_image_that_they_are_said_to_be():
    score = Likeliest().score(LOGITS, LABELS)  # class 1 of image 0, class 2 of image 1
    assert score(COPIES, 0).tolist() == [20.0, 21.0, 22.0]
    assert score(COPIES, 1).tolist() == [30.0, 31.0, 32.0]
    assert score(COPIES, torch.tensor([1, 0, 1])).tolist() == [30.0, 21.0, 32.0]


def test_a_class_stays_the_one_that_was_likeliest_at_first():
    """Altered copies may be of another class: what is explained does not change with them."""
    score = resolve(None, LOGITS[:1], LABELS)
    assert score(LOGITS[1:], 0).tolist() == [0.0]


def test_scores_are_differentiable():
    logits = LOGITS.clone().requires_grad_()
    for wanted, slopes in ((None, {(0, 1), (1, 2)}), ("top-2", {(0, 3), (1, 3)})):
        score = resolve(wanted, logits.detach(), LABELS)
        (gradient,) = torch.autograd.grad(score(logits).sum(), logits)
        assert {tuple(place) for place in gradient.nonzero().tolist()} == slopes


def test_labels_that_are_numbers_are_labels():
    assert class_index("7", ("3", "7", "0"), 3) == 1
    assert class_index(2, ("3", "7", "0"), 3) == 2
    assert class_index("2", ("3", "7", "0"), 3) == 2  # no label: an index


def test_classes_without_labels_are_told_by_their_number():
    assert resolve(2, LOGITS, ()).names == ("class 2", "class 2")
    assert resolve(("1", 3), LOGITS, LABELS[:1]).names[0] == "class 1 rather than class 3"


@pytest.mark.parametrize(
    ("wanted", "match"),
    [
        (4, "class 4 does not exist: the model knows 4 classes"),
        (-1, "class -1 does not exist"),
        ("17", "class 17 does not exist"),
        ("tigr cat", "unknown class 'tigr cat'; did you mean tiger cat"),
        ("catamout", "did you mean catamount"),
        ("top-5", "rank 4 does not exist among 4 classes"),
        ("top-0", "rank -1 does not exist"),
        ((0, 9), "class 9 does not exist"),
        (("lynks", 0), "did you mean lynx"),
        (True, "a target is a class"),
        ((0, 1, 2), "a target is a class"),
        (2.0, "a target is a class"),
    ],
)
def test_classes_that_do_not_exist_are_refused(wanted, match):
    with pytest.raises(InputError, match=match):
        # Not `resolve`, whose types pytest checks: users have no such guard.
        as_target.__wrapped__(wanted).score(LOGITS, LABELS)


def test_a_synonym_of_several_classes_is_refused():
    """ImageNet has two classes called crane, and two called maillot."""
    labels = ("crane, bird", "crane, machine", "maillot")
    with pytest.raises(InputError, match="unknown class 'crane'"):
        class_index("crane", labels, 3)
    assert class_index("bird", labels, 3) == 0
    assert class_index("maillot", labels, 3) == 2


def test_top_is_only_a_rank_where_a_number_follows():
    target = as_target("top-hat")
    assert target == Class("top-hat")
    assert target.score(LOGITS, ("top-hat", "b", "c", "d")).names == ("top-hat",) * 2
    assert as_target("top-3") == Likeliest(2)


def test_likeness_to_an_embedding():
    vectors = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    score = Similarity(torch.tensor([[2.0, 0.0]]), "a hare").score(vectors, ())
    assert score.names == ("likeness to a hare",) * 2
    assert score(vectors).tolist() == pytest.approx([0.6, 0.0])
    assert score(-5 * vectors, 0).tolist() == pytest.approx([-0.6, 0.0])
    with pytest.raises(InputError, match="the reference has 3 channels, the model's output 2"):
        Similarity(torch.ones(3)).score(vectors, ())


def test_embeddings_are_pooled_or_the_first_token_or_the_mean_of_a_map():
    tokens = torch.arange(12.0).reshape(1, 3, 4)
    assert embeddings(tokens).tolist() == [[0.0, 1.0, 2.0, 3.0]]
    assert embeddings(tokens.reshape(1, 3, 2, 2)).tolist() == [[1.5, 5.5, 9.5]]
    assert embeddings(tokens[0]).tolist() == tokens[0].tolist()


def test_a_region_of_a_dense_output():
    dense = torch.arange(2 * 3 * 2 * 4.0).reshape(2, 3, 2, 4)
    mask = torch.zeros(4, 8, dtype=torch.bool)  # twice the output's size
    mask[:2, 2:4] = True
    mask[2:, 6] = True  # half of a position: counts half
    score = Region("road", mask).score(dense, ("sky", "road", "car"))
    assert score.names == ("road in a region",) * 2
    expected = [float((dense[i, 1, 0, 1] + 0.5 * dense[i, 1, 1, 3]) / 1.5) for i in range(2)]
    assert score(dense).tolist() == pytest.approx(expected)
    assert score({"out": dense}).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "output", "match"),
    [
        (
            Region(0, torch.zeros(4, 4, dtype=torch.bool)),
            torch.ones(1, 2, 4, 4),
            "mask .* is empty",
        ),
        (Region(2, torch.ones(4, 4, dtype=torch.bool)), torch.ones(1, 2, 4, 4), "class 2 does not"),
        (Region(0, torch.ones(4, 4, dtype=torch.bool)), torch.ones(1, 2), r"returned \(1, 2\)"),
        (Class(0), torch.ones(1, 2, 4, 4), r"\(1, 2, 4, 4\) and no scores of classes"),
        (Contrast(0, 1), torch.ones(1, 5, 3), "no scores of classes"),
        (Likeliest(), {"loss": 3}, "returned a dict without a tensor"),
        (Class(0), "logits", "returned a str without a tensor"),
        (Class(0), None, "returned a NoneType without a tensor"),
    ],
)
def test_an_output_that_has_no_such_thing_is_refused(target, output, match):
    with pytest.raises(InputError, match=match):
        target.score(output, ())


def test_any_function():
    def margin(output):
        return output[:, 0] - output[:, 1]

    score = resolve(margin, LOGITS, LABELS)
    assert score.names == ("margin", "margin")
    assert score(LOGITS).tolist() == [-3.0, 5.0]
    assert resolve(lambda output: output[:, 0], LOGITS).names == ("a function",) * 2
    assert Function(margin, "a margin").score(LOGITS, ()).names == ("a margin",) * 2


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda output: output, r"\(2, 4\)"),
        (lambda output: output.sum(), r"\(\)"),
        (lambda output: output[:1, 0], r"\(1,\)"),
    ],
)
def test_a_function_returns_a_number_a_row(function, shape):
    score = resolve(function, LOGITS)
    with pytest.raises(InputError, match=rf"one number for each row .* \(2,\); .* {shape}"):
        score(LOGITS)


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        {"loss": torch.zeros(()), "logits": LOGITS},
        OrderedDict(last_hidden_state=torch.ones(2, 3, 5), logits=LOGITS),
        {"scores": LOGITS},
        (LOGITS, torch.ones(2, 9)),
        [LOGITS],
        ("loss", LOGITS),
        Named(LOGITS, torch.ones(2, 9)),
        Fields(loss=torch.zeros(()), logits=LOGITS),
    ],
    ids=lambda output: type(output).__name__,
)
def test_class_scores_are_found_in_any_output(output):
    assert class_scores(output) is LOGITS
    assert batch_of(output) == (2, LOGITS.device)
    assert resolve(1, output, LABELS)(output).tolist() == [4.0, 0.0]


def test_of_several_tensors_the_pooled_output_comes_before_the_hidden_states():
    hidden, pooled = torch.ones(2, 5, 3), torch.zeros(2, 3)
    assert tensor_of({"last_hidden_state": hidden, "pooler_output": pooled}) is pooled
    assert tensor_of({"last_hidden_state": hidden, "pooler_output": None}) is hidden


def test_a_list_of_dicts_has_a_row_each():
    rows = [{"boxes": torch.ones(5, 4)}, {"boxes": torch.ones(0, 4)}, {"boxes": torch.ones(1, 4)}]
    assert batch_of(rows) == (3, torch.device("cpu"))
    counts = Function(lambda output: torch.tensor([float(len(r["boxes"])) for r in output]))
    assert counts.score(rows, ())(rows).tolist() == [5.0, 0.0, 1.0]


def test_without_classes_the_length_of_the_embedding_is_explained():
    hidden = torch.tensor([[[3.0, 4.0], [9.0, 9.0]]])
    assert not has_classes(hidden)
    for output, headless in ((hidden, False), (hidden[:, 0], True)):
        score = resolve(None, output, LABELS, headless=headless)
        assert score.names == ("the embedding",)
        assert score(output).tolist() == [5.0]
    assert has_classes(hidden[:, 0])
    assert has_classes(Fields(torch.zeros(()), LOGITS))
    assert has_classes({"logits": LOGITS})
    assert not has_classes({"logits": hidden})
    assert not has_classes({"last_hidden_state": LOGITS})

"""The pictures of an evaluation show the numbers that they were given."""

import numpy as np

from regard.core.mistake import Mistake
from regard.show.evaluation import confusion_figure, mistakes_figure, save_figure


def test_the_confusion_matrix_says_accuracy_and_shares():
    confusion = np.array([[8, 2], [0, 0]])
    axes = confusion_figure(confusion, ["cat", "dog"]).axes[0]
    assert axes.get_title() == "accuracy 80.00%, 10 images"
    assert [text.get_text() for text in axes.texts] == ["80%", "20%"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0, 0]])


def test_many_classes_get_no_numbers():
    labels = [str(index) for index in range(30)]
    assert not confusion_figure(np.eye(30, dtype=int), labels).axes[0].texts


def test_a_mistake_is_shown_with_what_was_said_and_what_is_true():
    picture = np.zeros((4, 4, 3), np.uint8)
    figure = mistakes_figure(
        [Mistake(picture, true=0, predicted=1, confidence=0.9)], ["cat", "dog"]
    )
    assert figure.axes[0].get_title() == "dog 90%\ntruly cat"


def test_no_mistakes_is_said():
    assert mistakes_figure([], ["cat"]).axes[0].texts[0].get_text() == "no mistakes"


def test_a_figure_is_written_in_the_format_of_its_ending(tmp_path):
    save_figure(mistakes_figure([], ["cat"]), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")

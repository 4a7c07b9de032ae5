"""A segmenter's pictures: colours that can be told apart, wrong pixels where they are."""

import numpy as np

from regard.core.mask_mistake import MaskMistake
from regard.show.segmentation_evaluation import class_colours, iou_figure, worst_masks_figure


def mistake():
    true = np.array([[0, 0, 1], [1, 255, 255]], np.uint8)
    predicted = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    return MaskMistake("a.png", np.full((2, 3, 3), 255, np.uint8), true, predicted, 0.583)


def test_every_class_has_a_colour_of_its_own_and_void_is_black():
    colours = class_colours(40).astype(int)
    assert (colours[255] == 0).all()
    apart = np.abs(colours[:40, None] - colours[None, :40]).sum(-1) + 1000 * np.eye(40, dtype=int)
    assert apart.min() >= 6
    neighbours = np.abs(np.diff(colours[:40], axis=0)).sum(1)
    assert neighbours.min() > 60


def test_wrong_pixels_are_shown_where_they_are_and_void_is_never_wrong():
    figure = worst_masks_figure([mistake()], ("sky", "car"))
    picture, truth, _, wrong = figure.axes[:4]
    assert wrong.images[0].get_array().tolist() == [[0, 1, 0], [0, 0, 0]]
    # Of a white picture the colours are those of the classes.
    assert truth.images[0].get_array()[0, 0].tolist() == class_colours(2)[0].tolist()
    assert "a.png: mean IoU 58.3%, 16.7% wrong" in picture.texts[0].get_text()
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["sky", "car", "void"]


def test_bars_are_the_figures_and_their_intervals():
    shares = {"sky": (0.9, (0.85, 0.95)), "pole": (0.2, (0.1, 0.35))}
    figure = iou_figure(shares, 0.55)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["pole", "sky"]
    assert [bar.get_width() for bar in axes.patches] == [0.2, 0.9]
    (segments,) = [c.get_segments() for c in axes.collections]
    np.testing.assert_allclose(segments[0][:, 0], [0.1, 0.35])
    assert "55.00%" in axes.get_title()


def test_no_images_is_said():
    figure = worst_masks_figure([], ("sky",))
    assert figure.axes[0].texts[0].get_text() == "no images"

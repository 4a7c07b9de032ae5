"""COCO's instances and panoptic segments become classes of pixels; damage is one line."""

import json

import numpy as np
import pytest
from PIL import Image

from regard.core.errors import InputError
from regard.data.coco_masks import fill_polygon, load_coco_masks
from regard.data.run_length import decode_run_length
from regard.data.segmentation_sources import open_segmentation
from tests.reference.data import coco_masks as twin

CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]


def blob(seed, size=(9, 11)):
    return np.random.default_rng(seed).random(size) < 0.4


@pytest.mark.parametrize("seed", range(5))
def test_run_lengths_agree_with_their_twin(seed):
    mask = blob(seed)
    counts = twin.run_lengths(mask.tolist())
    assert np.array_equal(decode_run_length(counts, mask.shape), mask)
    assert np.array_equal(decode_run_length(twin.as_text(counts), mask.shape), mask)


def test_long_runs_and_falling_ones_survive_as_text():
    mask = np.zeros((100, 200), bool)
    mask[:, 150:] = True
    mask[3, 160] = False
    counts = twin.run_lengths(mask.tolist())
    assert max(counts) > 10_000
    assert np.array_equal(decode_run_length(twin.as_text(counts), mask.shape), mask)


@pytest.mark.parametrize("counts", [[3, 3], [100, -1], "5", "P", "~~"])
def test_run_lengths_of_another_size_are_refused(counts):
    with pytest.raises(InputError, match="run lengths"):
        decode_run_length(counts, (9, 11))


@pytest.mark.parametrize("seed", range(5))
def test_polygons_agree_with_a_ray_from_every_pixel(seed):
    random = np.random.default_rng(seed)
    points = random.uniform(-3, 18, (6, 2))  # also outside, and crossing itself
    ours = fill_polygon(points, (12, 15))
    listed = [tuple(point) for point in points.tolist()]
    theirs = [[twin.in_polygon(listed, x + 0.5, y + 0.5) for x in range(15)] for y in range(12)]
    simple = fill_polygon(np.array([[2, 1], [9, 1], [9, 6], [2, 6]], float), (12, 15))
    assert simple.sum() == 35
    assert simple[1:6, 2:9].all()
    # Where the outline crosses itself, the two rules for what is inside differ.
    if not crosses_itself(listed):
        assert ours.tolist() == theirs


def crosses_itself(points):
    sides = list(zip(points, points[1:] + points[:1], strict=True))

    def turn(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0

    return any(
        turn(*s, o[0]) != turn(*s, o[1]) and turn(*o, s[0]) != turn(*o, s[1])
        for i, s in enumerate(sides)
        for o in sides[i + 2 : len(sides) - (i == 0)]
    )


def coco(folder, annotations, name="annotations/instances_train2017.json", images=("a.png",)):
    for image in images:
        path = folder / "train2017" / image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4)).save(path)
    listed = [
        {"id": index, "file_name": image, "height": 4, "width": 6}
        for index, image in enumerate(images)
    ]
    content = {"images": listed, "annotations": annotations, "categories": CATEGORIES}
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return folder


def box(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def test_instances(tmp_path):
    """The small cat lies on the large dog, the crowd is void, the rest is background."""
    crowd = np.zeros((4, 6), bool)
    crowd[:, 5] = True
    coco(
        tmp_path,
        [
            {"image_id": 0, "category_id": 7, "segmentation": box(1, 1, 2, 2)},
            {"image_id": 0, "category_id": 3, "segmentation": box(0, 0, 4, 3)},
            {
                "image_id": 0,
                "category_id": 7,
                "iscrowd": 1,
                "segmentation": {"counts": twin.run_lengths(crowd.tolist()), "size": [4, 6]},
            },
        ],
    )
    found = open_segmentation(tmp_path)
    assert found.classes == ("background", "dog", "cat")
    assert found.pairs.read(0)[1].tolist() == [
        [1, 1, 1, 1, 0, 255],
        [1, 2, 1, 1, 0, 255],
        [1, 1, 1, 1, 0, 255],
        [0, 0, 0, 0, 0, 255],
    ]
    assert open_segmentation(tmp_path / "annotations/instances_train2017.json").fingerprint


def test_panoptic(tmp_path):
    ids = np.zeros((4, 6), np.int64)
    ids[:, 2:4], ids[0, 4:], ids[1, 4:] = 300, 70_000, 5
    pixels = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    segments = [
        {"id": 300, "category_id": 7},
        {"id": 70_000, "category_id": 3},
        {"id": 5, "category_id": 3, "iscrowd": 1},
    ]
    entry = {"image_id": 0, "file_name": "a.png", "segments_info": segments}
    coco(tmp_path, [entry], "annotations/panoptic_train2017.json")
    (tmp_path / "annotations/panoptic_train2017").mkdir()
    Image.fromarray(pixels).save(tmp_path / "annotations/panoptic_train2017/a.png")
    found = load_coco_masks(tmp_path)
    assert found.classes == ("dog", "cat")
    assert found.pairs.read(0)[1].tolist() == [
        [255, 255, 1, 1, 0, 0],
        *[[255, 255, 1, 1, 255, 255]] * 3,
    ]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"category_id": 9, "segmentation": box(0, 0, 1, 1)}, "category 9 is not in the file"),
        ({"category_id": 3, "segmentation": [[1, 2, 3]]}, "segmentation cannot be read"),
        ({"category_id": 3}, "an instance has no segmentation"),
        ({"category_id": 3, "segmentation": {"counts": [3], "size": [4, 6]}}, "run lengths of 3"),
    ],
)
def test_broken_annotations_are_left_out_and_said(tmp_path, annotation, message):
    good = {"image_id": 1, "category_id": 3, "segmentation": box(0, 0, 6, 4)}
    coco(tmp_path, [{"image_id": 0, **annotation}, good], images=("a.png", "b.png"))
    found = load_coco_masks(tmp_path)
    assert [found.pairs.title(index) for index in range(len(found))] == ["b.png"]
    assert message in found.problems[0]


def test_missing_images_and_broken_files_are_said(tmp_path):
    one = {"image_id": 2, "category_id": 3, "segmentation": box(0, 0, 6, 4)}
    folder = coco(tmp_path, [one], images=("a.png", "b.png", "c.png"))
    (folder / "train2017/a.png").unlink()
    found = load_coco_masks(folder)
    assert found.problems[0].startswith("a.png, which ")
    assert found.pairs.read(0)[1].sum() == 0  # an image without instances is background
    path = folder / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(InputError, match="has no annotations"):
        load_coco_masks(folder)
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        load_coco_masks(folder)
    path.write_text('{"images": [{}], "annotations": [], "categories": []}')
    with pytest.raises(InputError, match="one of its images has no 'id'"):
        load_coco_masks(folder)
    with pytest.raises(InputError, match="no COCO annotations for the split 'test'"):
        open_segmentation(folder, "test")

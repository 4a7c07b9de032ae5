"""Networks that are widened until they cost as much as attention does."""

from dataclasses import replace

import pytest
from torch import nn

from regard.compare.matched import spelled, with_matches
from regard.compare.run_study import variants_of
from regard.compare.study import Study, plain_and_attending
from regard.compare.task import Networks
from regard.core.errors import InputError
from regard.data import detection_sources, segmentation_sources
from regard.models.network_word import parse_network

DETECTORS = {
    "retinanet": "retinanet(backbone='resnet18(width=4)', channels=16)",
    "yolo": "yolo(backbone='resnet18(width=4)', channels=16)",
    "faster_rcnn": "faster_rcnn(backbone='resnet18(width=4)', channels=16, width=16, proposals=20)",
}
SEGMENTERS = {
    "unet": "unet(encoder='resnet18(width=4)', width=6, widest=12)",
    "attention_unet": "attention_unet(encoder='plain(width=4, levels=3)', width=6)",
    "fcn": "fcn(encoder='resnet18(width=4)', width=16)",
}
ATTENTION = {
    "detect": ("scaled_dot_product(width=96)@neck",),
    "segment": ("scaled_dot_product(width=96)",),
}
every_task = pytest.mark.parametrize(
    ("task", "model"),
    [("detect", model) for model in DETECTORS] + [("segment", model) for model in SEGMENTERS],
)


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    """Make the scenes few: their classes and size are all that counts here."""
    for module in (detection_sources, segmentation_sources):
        monkeypatch.setattr(module, "_SCENES", {"train": (8, 1)})


def matched(**changes):
    study = Study("matched", **{"models": ("resnet8",), "match_tolerance": 0.02, **changes})
    networks = Networks(study)
    return networks, {variant.name: variant for variant in variants_of(study, networks)}


@pytest.mark.parametrize("what", ["parameters", "flops"])
def test_the_widened_network_costs_as_much_as_attention(what):
    networks, variants = matched(attention=("multi_head", "axial"), match=what)
    cost = networks.counted(what)
    for name in ("multi_head", "axial"):
        match = variants[variants[name].matched_by]
        if match.role == "matched":
            assert match.attention == "none"
            assert cost(match) == pytest.approx(cost(variants[name]), rel=0.02)
        else:
            assert cost(variants[name]) <= 1.02 * cost(match)
    assert "matched" in {variant.role for variant in variants.values()}


def test_attention_that_costs_next_to_nothing_is_matched_by_the_plain_network():
    _, variants = matched(attention=("eca", "simam"))
    assert {variants[name].matched_by for name in ("eca", "simam")} == {"none"}
    assert set(variants) == {"none", "eca", "simam"}


def test_two_that_cost_nearly_the_same_share_a_match():
    _, variants = matched(attention=("multi_head", "linear"), match_tolerance=0.02)
    assert variants["multi_head"].matched_by == variants["linear"].matched_by
    assert [variant.role for variant in variants.values()].count("matched") == 1


def test_no_matches_where_none_are_asked_for():
    _, variants = matched(attention=("multi_head",), match="none")
    assert variants["multi_head"].matched_by is None


def test_an_option_of_whole_numbers_stays_whole():
    networks, variants = matched(models=("textbook_cnn",), attention=("qk_gate",), match="flops")
    name, options = parse_network(variants[variants["qk_gate"].matched_by].network)
    assert name == "textbook_cnn"
    assert isinstance(options["filters"], int)
    assert options["filters"] > 32
    found = networks.counted("flops")
    assert found(variants[spelled(name, options)]) == pytest.approx(
        found(variants["qk_gate"]), rel=0.02
    )


def test_a_network_without_a_width_is_refused_with_the_way_out():
    with pytest.raises(InputError, match=r'no option that widens it.*choose match "none"'):
        matched(models=("vit",), attention=("multi_head",))


def test_the_nearest_width_is_taken_and_not_the_first_that_is_enough():
    def cost(variant):
        if variant.attention == "eca":
            return 8.29
        return parse_network(variant.network)[1]["width"] // 0.25 * 0.25

    study = Study("near", models=("resnet8(width=8)",), attention=("eca",), match_tolerance=0.0)
    found = with_matches(study, plain_and_attending(study, study.models[0]), cost)
    assert cost(found[-1]) == 8.25
    assert found[1].matched_by == found[-1].name


def test_the_plain_network_is_the_match_where_a_wider_one_is_farther_away():
    # One more filter adds 3 %, and the gate 1 %.
    _, variants = matched(models=("textbook_cnn",), attention=("qk_gate",), match_tolerance=0.0)
    assert variants["qk_gate"].matched_by == "none"
    assert set(variants) == {"none", "qk_gate"}


def of_task(task, model, **changes):
    """Return the networks, the plain variant, the one with attention, and its match."""
    word = {**DETECTORS, **SEGMENTERS}[model]
    asked = {"attention": ATTENTION[task], "options": {"size": (64, 64)}, **changes}
    networks, variants = matched(task=task, models=(word,), **asked)
    plain, attending = variants["none"], variants[asked["attention"][0]]
    return networks, plain, attending, variants[attending.matched_by]


@every_task
@pytest.mark.parametrize("what", ["parameters", "flops"])
def test_detectors_and_segmenters_are_widened_to_the_nearest_cost(task, model, what):
    networks, plain, attending, match = of_task(task, model, match=what, match_tolerance=0.0)
    cost = networks.counted(what)
    name, options = parse_network(plain.network)
    option = "channels" if task == "detect" else "width"
    step = 8 if model in ("retinanet", "yolo") else 1

    def at(width):
        known = {"widest": 512} if name.endswith("unet") else {}
        along = {k: round(options.get(k, v) * width / options[option]) for k, v in known.items()}
        return spelled(name, {**options, option: width, **along})

    width = parse_network(match.network)[1][option]
    assert (width - options[option]) % step == 0
    assert match.network == (plain.network if width == options[option] else at(width))
    near = [width - step, width, width + step]
    wanted = cost(attending)
    assert wanted > cost(plain)
    distances = [abs(cost(replace(plain, network=at(each))) - wanted) for each in near]
    assert min(distances) == distances[1]


@every_task
def test_what_a_backbone_fixes_stays_as_it_is(task, model):
    networks, plain, _, match = of_task(task, model)
    assert match.role == "matched"
    before, after = networks.build(plain), networks.build(match)
    part = "backbone" if task == "detect" else "encoder"
    shapes = [
        {key: value.shape for key, value in network.get_submodule(part).state_dict().items()}
        for network in (before, after)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("model", ["retinanet", "yolo"])
def test_a_wider_head_normalises_as_many_channels_together(model):
    networks, plain, _, match = of_task("detect", model)
    groups = []
    for variant in (plain, match):
        norms = [m for m in networks.build(variant).modules() if isinstance(m, nn.GroupNorm)]
        groups.append({norm.num_channels // norm.num_groups for norm in norms})
    assert match.role == "matched"
    assert groups == [{8}, {8}]


def test_attention_that_four_times_the_width_does_not_cost_is_refused():
    with pytest.raises(InputError, match=r"even at 4 times its width .* choose match \"none\""):
        of_task("segment", "fcn", attention=("scaled_dot_product(width=4000)@encoder.body.layer4",))


def test_a_backbone_that_the_study_s_options_name_is_counted():
    def cost(model, **options):
        study = Study("s", task="detect", models=(model,), options={"size": (64, 64), **options})
        return Networks(study).cost(plain_and_attending(study, model)[0])

    named = cost("retinanet(channels=16)", backbone="resnet18(width=4)")
    assert named == cost(DETECTORS["retinanet"])
    assert named.parameters < cost("retinanet(channels=16)").parameters

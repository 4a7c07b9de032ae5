"""What a study may be, and its files."""

import pytest

from regard.compare.config import listed, read_study
from regard.compare.study import Study, check_folders, plain_and_attending
from regard.core.errors import InputError
from regard.train import Recipe, plain_adam


def test_a_study_comes_back_from_its_plain_values():
    study = Study("s", seeds=(3, 1), options={"augment": None}, recipe=plain_adam(epochs=2))
    assert Study.from_json(study.to_json()) == study


def test_every_task_has_its_own_recipe_and_augmentation():
    from regard.data.box_augment import BoxAugment

    study = Study("s", task="detect", options={"size": (64, 96), "augment": BoxAugment(mosaic=0.0)})
    again = Study.from_json(study.to_json())
    assert again.options == study.options
    assert again.every_recipe == study.every_recipe != Study("s").every_recipe


def test_the_plain_network_belongs_to_every_study_once():
    for attention in (("eca",), ("none", "eca"), ("eca", "none")):
        variants = plain_and_attending(Study("s", attention=attention), "resnet8")
        assert [variant.name for variant in variants] == ["none", "eca"]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"seeds": 0}, "give how many"),
        ({"seeds": (1, 1)}, "different ones"),
        ({"task": "clasify"}, "did you mean"),
        ({"match": "size"}, "unknown match"),
        ({"attention": ("eca", "eca")}, "in the study twice"),
        ({"models": ()}, "needs a network"),
        ({"options": {"seed": 3}}, "'seed' is a field of the study"),
        ({"margin": 0.0}, "0.002 is 0.2 points"),
        ({"margin": 1.5}, "0.002 is 0.2 points"),
        ({"learning_rates": (0.1, -1.0)}, "rates above 0"),
        ({"learning_rates": (0.1,), "validation": 0.0}, "share of the training images"),
    ],
)
def test_what_cannot_be_meant_is_refused(told, message):
    with pytest.raises(InputError, match=message):
        Study("s", **told)


def test_variants_whose_folders_would_be_one_are_refused():
    variants = plain_and_attending(Study("s", attention=("eca@layer1", "eca(@layer1")), "resnet8")
    with pytest.raises(InputError, match="differ in signs only"):
        check_folders(variants)


def test_commas_in_brackets_do_not_divide():
    assert listed("none, multi_head(num_heads=4, position_bias=False)@layer3,eca") == (
        "none",
        "multi_head(num_heads=4, position_bias=False)@layer3",
        "eca",
    )
    assert listed(None) is None


def write(path, text):
    path.write_text(text)
    return path


def test_a_yaml_file_has_the_fields_of_a_study(tmp_path):
    text = """
data: cifar10
models: [resnet8]
attention: [eca, "multi_head(num_heads=4)@layer3"]
seeds: 3
recipe: {base: plain-adam, epochs: 2}
options: {augment: null}
"""
    study = read_study(write(tmp_path / "mine.yaml", text))
    assert study == Study(
        "mine",
        data="cifar10",
        models=("resnet8",),
        attention=("eca", "multi_head(num_heads=4)@layer3"),
        seeds=3,
        recipe=plain_adam(epochs=2),
        options={"augment": None},
    )


def test_a_python_file_makes_a_study(tmp_path):
    text = "from regard.compare import Study\nstudy = Study('mine', seeds=7)\n"
    assert read_study(write(tmp_path / "mine.py", text)) == Study("mine", seeds=7)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.py", "x = 1", "makes no study"),
        ("a.py", "1 / 0", "failed: ZeroDivisionError"),
        ("a.py", "raise SystemExit(3)", "failed: SystemExit"),
        ("a.yaml", "[1, 2]", "holds no study"),
        ("a.yaml", "a: [", "cannot be read"),
        ("a.yaml", "seedz: 3", "seedz"),
        ("a.yaml", "attention: eca", "write a list"),
        ("a.yaml", "recipe: {epoch: 3}", "recipe.*epoch"),
        ("a.yaml", "recipe: 3", "write its fields"),
        ("a.yaml", "seeds: [1, 1]", "seeds"),
        ("a.txt", "", r"give a .py or .yaml file"),
    ],
)
def test_a_file_that_is_no_study_is_refused_in_one_line(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message) as refused:
        read_study(write(tmp_path / name, text))
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)


def test_a_recipe_is_kept_as_it_is():
    assert Study("s", recipe=Recipe(epochs=3)).changed(seeds=4).recipe.epochs == 3

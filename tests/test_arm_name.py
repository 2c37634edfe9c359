"""Names of arms are read as they are written."""

import pytest

from fer_experiments.evaluation.arm_name import ArmName


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("dcgan", ("dcgan", "", "", False)),
        ("dcgan+traditional", ("dcgan", "traditional", "", False)),
        ("dcgan@leak", ("dcgan", "", "", True)),
        ("dcgan+traditional@leak", ("dcgan", "traditional", "", True)),
        (
            "dcgan [gan.epochs=9, data.counts={a: 1, b: 2}]",
            ("dcgan", "", "gan.epochs=9, data.counts={a: 1, b: 2}", False),
        ),
        ("dcgan+x [balance.sampling_strategy=0.9+1]@leak", ("dcgan", "x", "balance.sampling_strategy=0.9+1", True)),
    ],
)
def test_a_name_is_parsed_into_its_parts_and_written_from_them(name, parts):
    assert ArmName.parse(name) == ArmName(*parts)
    assert str(ArmName(*parts)) == name


def test_no_augmentation_is_not_written():
    assert str(ArmName("dcgan", "none")) == "dcgan"


@pytest.mark.parametrize("name", ["", "+", "@", " [", '"><script>', "a@leek", "a]b"])
def test_any_text_is_a_name(name):
    assert ArmName.parse(name).leak is False


def test_the_name_of_an_arm_under_the_leak():
    assert str(ArmName.parse("dcgan+x [gan.epochs=9]").with_leak()) == "dcgan+x [gan.epochs=9]@leak"


def test_settings_are_read_by_key_even_if_their_values_hold_commas():
    name = ArmName.parse("dcgan [data.counts={a: 1, b: 2}, balance.synthetic=a/b,gan.betas=[0.5, 0.9]]@leak")
    assert name.values == {"data.counts": "{a: 1, b: 2}", "balance.synthetic": "a/b", "gan.betas": "[0.5, 0.9]"}
    assert ArmName("dcgan").values == {}


def test_settings_can_be_left_out():
    name = ArmName.parse("dcgan+x [balance.add=5, data.imbalance=10]@leak")
    assert str(name.without({"balance.add"})) == "dcgan+x [data.imbalance=10]@leak"
    assert str(name.without({"balance.add", "data.imbalance"})) == "dcgan+x@leak"
    assert name.data == "data.imbalance=10"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("dcgan+traditional@leak", "dcgan+traditional@leak"),
        ("dcgan+traditional [balance.add=200]", "dcgan+traditional_balance.add=200"),
        ("dcgan [balance.add={angry: 5}, balance.synthetic=../a b]@leak",
         "dcgan_balance.add=_angry_5_,_balance.synthetic=.._a_b_@leak"),
    ],
)  # fmt: skip
def test_a_folder_name_has_no_character_that_a_file_system_or_a_glob_pattern_treats_specially(name, folder):
    assert ArmName.parse(name).folder == folder

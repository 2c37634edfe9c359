"""Names of arms are read as they are written."""

import pytest

from fer_experiments.evaluation.arms import ArmName


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
def test_a_name_has_its_parts_and_is_written_of_them(name, parts):
    assert ArmName.parse(name) == ArmName(*parts)
    assert str(ArmName(*parts)) == name


def test_no_augmentation_is_not_written():
    assert str(ArmName("dcgan", "none")) == "dcgan"


@pytest.mark.parametrize("name", ["", "+", "@", " [", '"><script>', "a@leek", "a]b"])
def test_any_text_is_a_name(name):
    assert ArmName.parse(name).leak is False


def test_the_leaking_twin_of_an_arm():
    assert str(ArmName.parse("dcgan+x [gan.epochs=9]").leaking()) == "dcgan+x [gan.epochs=9]@leak"

"""Arms with settings of their own: what these override, and which are refused with the key named."""

import pytest

from fer_experiments.errors import ConfigError
from fer_experiments.train.arms.compose import compose_arms


@pytest.fixture
def composed(read):
    """composed(names, *overrides) -> their arms, by name."""
    return lambda names, *overrides: {arm.name: arm for arm in compose_arms(names, read(*overrides))}


def test_an_arm_s_settings_override_the_run_s_and_leave_other_arms_alone(composed):
    names = ["dcgan", "dcgan+traditional [balance.sampling_strategy=0.95, augment.degrees=3]", "none+traditional"]
    arms = composed(names, "balance.sampling_strategy=0.8")
    assert list(arms) == names
    assert [arms[name].balance.sampling_strategy for name in names[:2]] == [0.8, 0.95]
    assert [arms[name].augment.degrees for name in names[1:]] == [3, 10]


def test_what_the_run_changes_of_its_gan_reaches_one_of_the_same_class_unless_that_one_s_file_differs(composed):
    changes = ["gan.width=8", "gan.images_seen=64", "gan.batch_size=16", "gan.regularizer=spectral_norm"]
    (arm,) = composed(["dcgan [balance.gan=recipe]"], "experiment=quick_classifier", *changes).values()
    assert (arm.gan.width, arm.gan.images_seen, arm.gan.epochs, arm.gan.batch_size) == (8, 64, None, 16)
    assert (arm.gan.regularizer, arm.gan.conditional) == ("r1", True)  # as conf/gan/recipe.yaml says


def test_what_the_run_changes_of_its_gan_does_not_reach_a_generator_of_another_class(composed):
    overrides = ["experiment=quick_classifier", "gan.batch_size=16", "gan.image_size=128"]
    (arm,) = composed(["diffusion"], *overrides).values()
    assert (arm.gan.batch_size, arm.gan.image_size) == (32, 128)


def test_the_weights_of_the_run_s_gan_are_no_other_s(composed, tmp_path):
    (tmp_path / "last.ckpt").touch()
    (arm,) = composed(["dcgan [balance.gan=recipe]"], f"gan.pretrained={tmp_path / 'last.ckpt'}").values()
    assert arm.gan.pretrained is None


@pytest.mark.parametrize(
    ("written", "value"),
    [("0", 0), ("null", None), ("{angry: 5, happy: 7}", {"angry": 5, "happy": 7}), ("200", 200)],
)
def test_values_are_read_as_hydra_reads_them(composed, written, value):
    (arm,) = composed([f"dcgan [balance.add={written}]"]).values()
    assert arm.balance.add == value


def test_the_command_line_takes_them_in_quotes(read):
    names = read('train.arms=[none,"dcgan+traditional [balance.add={angry: 5}, augment.flip=0.1]"]').train.arms
    assert names == ["none", "dcgan+traditional [balance.add={angry: 5}, augment.flip=0.1]"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dcgan [balance.ad=5]", r"balance\.ad: unknown key; did you mean balance\.add\?"),
        ("dcgan [balance.share=0.5]", r"balance\.share: is now balance\.generated_fraction"),
        ("none [balance.add=5]", r"balance\.add: unknown key"),
        ("dcgan+none [augment.flip=0.1]", r"augment\.flip: unknown key"),
        (
            "dcgan [trainer.max_epochs=5]",
            r"max_epochs: an arm can have settings of its own for .*, joint\.KEY and gan\.KEY only",
        ),
        ("dcgan [epochs=5]", r"epochs: an arm can have settings of its own"),
        ("dcgan [balance=none]", r"balance: an arm can have settings of its own"),
        ("dcgan [5]", r"5: an arm can have settings of its own"),
        ("dcgan [balance.add=many]", r"balance\.add.*'many'"),
        ("dcgan [balance.add=-1]", r"balance\.add.*-1: .*greater than or equal to 0"),
        ("dcgan [balance.add=1.5]", r"balance\.add.*1\.5"),
        ("dcgan [balance.add={angry: -1}]", r"balance\.add.*greater than or equal to 0"),
        ("dcgan [balance.add=5,6]", r"balance\.add=5,6: an arm takes one value"),
        ("dcgan [balance.add={a]", r"balance\.add=\{a: is not a value"),
        ("dcgan+traditional [augment.flip=2]", r"augment\.flip=2"),
        ("dcgan [balance.add=5", r"an arm's settings are written as in dcgan \[balance\.KEY=VALUE\]"),
        ("dcgan[balance.add=5]", r"an arm's settings are written as in"),
        ("dcgan@leek [balance.add=5]", r"unknown suffix @leek; only @leak exists, as in dcgan@leak"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_arm_and_the_key(composed, name, message):
    with pytest.raises(ConfigError, match=r"train\.arms: (?s:.*)" + message):
        composed([name])


def test_a_path_with_an_at_is_no_suffix(composed):
    (arm,) = composed(["dcgan [balance.synthetic=me@home/images]@leak"]).values()
    assert arm.leak
    assert str(arm.balance.synthetic) == "me@home/images"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["dcgan", "dcgan+none"], r"train\.arms: dcgan is named twice; leave one out"),
        (
            ["dcgan [balance.synthetic=a/b]", "dcgan [balance.synthetic=a b]"],
            r"train\.arms: .* and .* would share the folder dcgan.*; leave one out",
        ),
    ],
)
def test_two_names_of_one_folder_are_refused(composed, names, message):
    with pytest.raises(ConfigError, match=message):
        composed(names)


def test_arms_of_generated_images_alone_are_warned_of(read, caplog):
    config = read("train.arms=[dcgan,joint]")
    config.train.check(config)
    assert "train.arms: no arm of real images, such as none, to compare with" in caplog.text

"""Overrides on the command line that can't be right, answered before Hydra composes."""

import pytest

from fer_experiments.conf_files import list_choices, list_keys, list_options, read_experiment
from fer_experiments.override_keys import explain_wrong_overrides
from fer_experiments.strict_config import CONF_DIR


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("gan.epoch=5", "gan.epoch: unknown key; did you mean gan.epochs? (keys here: ada_target, batch_size, betas, "),
        ("+gan.epoch=5", "gan.epoch: unknown key; did you mean gan.epochs?"),
        ("++classifier.netwerk.dropout=0", "classifier.netwerk: unknown key; did you mean classifier.network?"),
        (
            "reference_classifier.epoch=1,2",
            "reference_classifier.epoch: unknown key; did you mean reference_classifier.",
        ),
        ("data.zzz=1", "data.zzz: unknown key (keys here: "),
        (
            "epochs=3",
            "epochs: unknown key; did you mean classifier.epochs or gan.epochs or reference_classifier.epochs?",
        ),
        ("balnce=dcgan", "balnce: unknown key; did you mean balance?"),
        ("clasifier.epochs=3", "clasifier.epochs: unknown key; did you mean classifier.epochs?"),
        ("sed=1", "sed: unknown key; did you mean seed?"),
        ("zzz=1", "zzz: unknown key; --help lists the groups"),
        ("zzz", "zzz: unknown key; --help lists the groups"),
        ("+trainer.limit_batch=1", "trainer.limit_batch: unknown key; did you mean trainer.limit_batches?"),
        (
            "+trainer.max_steps=1",
            "trainer.max_steps: can't be set here: all arms are trained for as many optimizer steps",
        ),
        ("gan.select=last", "gan.select is now gan.checkpoint"),
        ("callbacks.early_stoping.patience=3", "callbacks.early_stoping: unknown key; did you mean callbacks.early_"),
        (
            "callbacks.early_stopping.patience=3",
            "callbacks.early_stopping: there is no such key in callbacks=none; it is in callbacks=early_stopping",
        ),
        ("hydra.zzz", "hydra.zzz: has no value; write hydra.zzz=VALUE"),
        ("gan=zzz", "gan=zzz: conf/gan/ has no zzz (it has conditional, custom, dcgan, diffusion, recipe)"),
        ("gan=[", "gan=[: can't be read: its brackets don't match"),
        ("gan=", "gan=: conf/gan/ has no file without a name (it has "),
        ("experiment=mine", "experiment=mine: conf/experiment/ has no mine (it has "),
        ("gan.epochs", "gan.epochs: has no value; write gan.epochs=VALUE"),
        ("=3", "'=3': is no override; write KEY=VALUE, without spaces"),
        ("", "'': is no override; write KEY=VALUE, without spaces"),
        ("gan=null", "gan=null: a group takes the name of a file, such as gan=dcgan"),
        ("gan=[0]", "gan=[0]: a group takes the name of a file, such as gan=dcgan"),
        ("data={classes: null}", "data={classes: null}: a group takes the name of a file, such as data=faces"),
        ("experiment=[paper,0]", "experiment=[paper,0]: a group takes the name of a file, such as experiment=quick"),
        ("hydra/launcher=null", "hydra/launcher=null: a group takes the name of a file"),
        ("~gan", "~gan: every run needs the group; choose another file of it, such as gan=dcgan"),
        ("~train=study", "~train: every run needs the group; choose another file of it, such as train=study"),
    ],
)
def test_a_wrong_override_is_explained(override, message):
    (line,) = explain_wrong_overrides(["seed=1", override])
    assert line.startswith(message)


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=1", "accelerator=cpu", "rerun=true", "experiment=paper", "~gan.zzz", "~experiment"],
        ["hydra.zzz=1", "hydra/launcher=joblib", "classifier@reference_classifier=cnn"],
        ["+trainer.gradient_clip_val=1", "trainer.deterministic=true", "experiment=[paper,quick]"],
        ["gan._target_=mine.GAN", "+gan.zzz=1"],
        ["+callbacks.mine._target_=my.Callback", "+callbacks.mine.x=1", "logger=[csv,wandb]", "logger.wandb.project=x"],
        ["data.counts={angry: 5}", "+data.counts.happy=3", "classifier.network.zzz=1"],
    ],
)
def test_other_overrides_are_left_to_hydra(overrides):
    assert list(explain_wrong_overrides(overrides)) == []


def test_keys_are_not_explained_if_the_user_adds_files():
    overrides = ["+gan.zzz=1", "zzz=1", "data.root=.", "experiment=mine", "gan=null", "gan.epochs"]
    assert list(explain_wrong_overrides(overrides, has_foreign_files=True)) == [
        "gan=null: a group takes the name of a file, such as gan=dcgan",
        "gan.epochs: has no value; write gan.epochs=VALUE",
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.root=."],
            "data.root: there is no such key in data=faces; it is in data=fer2013, data=folder, data=mma, data=table",
        ),
        (["train=joint", "+train.seeds=3"], "train.seeds: there is no such key in train=joint; it is in train=study"),
        (["experiment=full", "data.root=."], "data.root: there is no such key in data=faces; it is in data=fer2013"),
        (
            ["train=cnn", "balance.add=9"],
            "balance.add: there is no such key in balance=none; it is in balance=copies, balance=dcgan",
        ),
        (
            ["balance.gamma=1"],
            "balance.gamma: there is no such key in balance=dcgan, balance=none; it is in balance=focal",
        ),
        (
            ["experiment=strategies", "augment.fill=9"],
            "augment.fill: there is no such key in augment=none, augment=strong",
        ),
    ],
)
def test_a_key_of_a_file_that_is_not_chosen_is_explained(overrides, message):
    (line,) = explain_wrong_overrides(overrides)
    assert line.startswith(message)


@pytest.mark.parametrize(
    "overrides",
    [
        ["data=faces,folder", "data.root=."],
        ["balance.add=9"],  # train=study chooses balance=dcgan
        ["train=cnn,dcgan", "balance.add=9"],
        ["experiment=strategies", "augment.brightness=0.1"],
        ["experiment=optuna", "augment.flip=0.1"],  # its search chooses augment
    ],
)
def test_a_key_of_a_file_that_may_be_chosen_is_left_to_hydra(overrides):
    assert list(explain_wrong_overrides(overrides)) == []


@pytest.mark.parametrize("group", ["data", "balance", "gan", "classifier", "joint", "trainer", "train"])
def test_every_key_of_a_composed_configuration_is_known(compose, group):
    for option in list_options(group):
        keys = set(compose(f"{group}={option}")[group])
        assert keys == list_keys(group, option)
        overrides = [f"{group}.{key}=1" for key in keys - {"_target_"}]  # with _target_ nothing would be explained
        assert list(explain_wrong_overrides([f"{group}={option}", *overrides])) == []


# conf_files


def test_what_an_experiment_sets_and_chooses():
    experiment = read_experiment("paper_protocol")
    assert experiment.files["data", "test_counts"].name == "paper_protocol.yaml"
    assert experiment.files["gan", "target_class"].name == "paper.yaml"
    assert experiment.files["train", "arms"].name == "paper_protocol.yaml"  # the last that sets it
    assert experiment.choices == {"train": "study"}
    assert read_experiment("injection").choices == {
        "train": "study",
        "classifier": "cnn_recipe",
        "augment": "strong",
        "gan": "recipe",
    }
    assert read_experiment("no such").files == {}
    assert list_choices("train", "study") == {"balance": "dcgan"}


def test_a_user_s_experiment_comes_before_the_program_s(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "paper.yaml").write_text("defaults: [quick]\ngan: {width: 8}\n")
    experiment = read_experiment("paper", [tmp_path, CONF_DIR])
    assert experiment.files["gan", "width"] == tmp_path / "experiment" / "paper.yaml"
    assert experiment.files["gan", "images_seen"] == CONF_DIR / "experiment" / "quick.yaml"
    assert ("data", "bottleneck") not in experiment.files

"""What a job's folder says it was to train, for every kind of job."""

import pytest
from hydra.core.hydra_config import HydraConfig

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.errors import ConfigError
from fer_experiments.job_kinds import JOB_KINDS, JobKind, Trains, job_kind
from fer_experiments.report.collect import collect
from fer_experiments.runs.run_config import RunConfig, read_run_config
from fer_experiments.runs.start import write_hydra_folder


@pytest.fixture
def run_config(compose, tmp_path):
    """run_config(*overrides) -> the configuration that such a job would leave."""

    def write(*overrides: str) -> RunConfig:
        composed = compose(*overrides)
        write_hydra_folder(composed, HydraConfig.instance().cfg, tmp_path)
        return read_run_config(tmp_path)

    return write


def test_every_job_of_conf_is_registered():
    assert set(JOB_KINDS) == {path.stem for path in (CONF_DIR / "train").glob("*.yaml")}


def test_a_job_that_is_not_registered_is_named_by_its_seed_and_expects_nothing(tmp_path):
    kind = job_kind({"train": "mine"})
    assert kind == JobKind("mine", (), Trains.NOTHING)
    assert kind.name_parts({"train": "mine"}) == []
    assert RunConfig(tmp_path, (), {"seed": 0, "train": {}}, {"train": "mine"}).expected_classifiers() == []


@pytest.mark.parametrize(
    ("overrides", "classifiers"),
    [
        (["train=cnn", "seed=3"], [(3, "none")]),
        (["train=cnn", "balance=oversample", "augment=traditional"], [(0, "oversample+traditional")]),
        (["train=joint", "seed=2"], [(2, "joint")]),
        (["train=dcgan"], []),
        (
            ["train.seeds=2", "seed=5", "train.arms=[none,dcgan]"],
            [(5, "none"), (5, "dcgan"), (6, "none"), (6, "dcgan")],
        ),
        (["train.seeds=auto", "seed=5", "train.arms=[none,dcgan]"], [(5, "none"), (5, "dcgan")]),
        (["train.seeds=[1,9]", "train.arms=[none]", "augment=strong"], [(1, "none+strong"), (9, "none+strong")]),
    ],
)
def test_a_job_expects_the_classifiers_that_it_trains(run_config, overrides, classifiers):
    assert run_config(*overrides).expected_classifiers() == classifiers


def test_a_joint_training_that_did_not_finish_is_reported_as_missing(run, tmp_path):
    run("train=cnn", folder=tmp_path / "cnn")
    with pytest.raises(ConfigError, match="joint"):
        run("train=joint", "joint.labels={bored: 1}", folder=tmp_path / "joint")
    ((training, reason),) = collect([tmp_path]).unfinished_trainings()
    assert training == "seed 0, joint"
    assert reason.startswith("ConfigError: joint.labels=")


def test_settings_are_the_overridden_keys_that_change_a_result(run_config):
    overrides = ["gan.epochs=7", "seed=1", "train.workers=2", "trainer.progress=false", "gan=conditional"]
    config = run_config(*overrides, "logger=csv", "logger.csv.name=x", "tags=[trial]")
    assert config.settings == ["gan.epochs", "gan"]
    assert (config.value("gan.epochs"), config.value("gan"), config.value("gan.ema")) == ("7", "conditional", "null")

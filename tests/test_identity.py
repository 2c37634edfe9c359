"""The same command has the same folder, and what changes a result another."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.identity import MOST_BYTES, identity
from fer_experiments.train.config import save


@pytest.fixture
def named(compose):
    """named(*overrides) -> the folder's name of a single run."""

    def name(*overrides: str, sweep: bool = False) -> str:
        config = composed(*overrides, mode=RunMode.MULTIRUN if sweep else RunMode.RUN)
        return (config.hydra.sweep.dir if sweep else config.hydra.run.dir).removeprefix("multirun/")

    return name


def composed(*overrides: str, mode: RunMode = RunMode.RUN):
    return GlobalHydra.instance().hydra.compose_config("config", list(overrides), run_mode=mode)


def job_of(sweep, *overrides: str):
    """The configuration of a sweep's job, as a launcher composes it."""
    return GlobalHydra.instance().config_loader().load_sweep_config(sweep, list(overrides))


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        (["train=cnn", "balance=oversample", "augment=traditional"], "cnn-faces/oversample+traditional,seed=0-"),
        (["train=cnn", "seed=7"], "cnn-faces/none,seed=7-"),
        (["train=dcgan", "gan=conditional"], "dcgan-faces/conditional,seed=0-"),
        (["data=folder", "data.root=/x"], "study-folder/seed=0-"),
        (["train.seeds=20"], "study-faces/seed=0..19-"),
        (["train.seeds=[3,5]"], "study-faces/seed=3,5-"),
        (["train.seeds=nonsense", "seed=nonsense"], "study-faces/seed=nonsense-"),  # refused later, by its key
        (["data=folder"], "study-folder/seed=0-"),  # data.root is missing, which the job says
    ],
)
def test_a_run_is_named_by_what_it_is(named, overrides, start):
    name = named(*overrides)
    assert name.startswith(start)
    assert len(name) == len(start) + 8
    assert named(*overrides) == name


@pytest.mark.parametrize(
    "override", ["rerun=true", "train.workers=2", "data.cache_dir=/x", "data.workers=3", "trainer.progress=false"]
)
def test_where_it_is_stored_and_how_it_is_shown_changes_no_name(named, override):
    assert named(override) == named()
    assert named("gan.epochs=1,2", override, sweep=True) == named("gan.epochs=1,2", sweep=True)
    (one, other) = (job_of(composed(mode=RunMode.MULTIRUN), "gan.epochs=1", *more) for more in ([], [override]))
    assert one.hydra.sweep.subdir == other.hydra.sweep.subdir


@pytest.mark.parametrize(
    "override", ["gan.epochs=7", "seed=1", "data.counts={angry: 5, happy: 9}", "train.arms=[none]", "accelerator=cpu"]
)
def test_what_changes_a_result_changes_the_name(named, override):
    assert named(override).split("-")[-1] != named().split("-")[-1]


def test_the_order_of_overrides_changes_no_name(named):
    assert named("gan.epochs=7", "seed=1") == named("seed=1", "gan.epochs=7")
    asked = ["gan.epochs=7,8", "seed=1,2"]
    assert named(*asked, sweep=True) == named(*reversed(asked), sweep=True)


def test_a_saved_configuration_is_the_same_one(compose, tmp_path):
    for path in sorted((CONF_DIR / "experiment").glob("*.yaml")):
        config = compose(
            f"experiment={path.stem}", "gan.learning_rate=1e-5", "data.counts={no: 5, on: 9}", "data.minority=no"
        )
        save(config, tmp_path)
        assert identity(OmegaConf.load(tmp_path / "config.yaml")) == identity(config), path


def test_jobs_lie_in_the_folder_of_their_sweep_under_names_without_number(compose):
    sweep = composed("gan.epochs=1,2", "train.arms=[none,dcgan]", mode=RunMode.MULTIRUN)
    folder = sweep.hydra.sweep.dir
    jobs = [job_of(sweep, f"gan.epochs={epochs}", "train.arms=[none,dcgan]") for epochs in (1, 2)]
    assert [job.hydra.sweep.dir for job in jobs] == [folder, folder]
    names = [job.hydra.sweep.subdir for job in jobs]
    assert [name[:-9] for name in names] == ["gan.epochs=1", "gan.epochs=2"]
    larger = composed("gan.epochs=2,3", "train.arms=[none,dcgan]", mode=RunMode.MULTIRUN)
    assert larger.hydra.sweep.dir != folder
    assert job_of(larger, "gan.epochs=2", "train.arms=[none,dcgan]").hydra.sweep.subdir == names[1]


@pytest.mark.parametrize(
    ("asked", "job", "name"),
    [
        (["balance=none,dcgan", "++gan.epochs=5", "classifier@judge=judge"], "balance=dcgan", "balance=dcgan"),
        (["seed=choice(1,2)", "data.counts={angry: 5, happy: 9}"], "seed=1", "seed=1"),
        (["seed=range(1,3)", "train=cnn,dcgan"], "seed=1", "seed=1"),
        (["gan.epochs=5"], "gan.epochs=5", "gan.epochs=5"),  # of a single job all is said
        (["experiment=imbalance_sweep"], "data.imbalance=5", "data.imbalance=5"),  # hydra.sweeper.params sweeps it
    ],
)
def test_a_job_is_named_by_what_jobs_can_differ_in(compose, asked, job, name):
    sweep = composed(*asked, mode=RunMode.MULTIRUN)
    assert sweep.hydra.sweep.dir
    fixed = [text.replace(": ", ":").replace(", ", ",") for text in asked if "," not in text or "{" in text]
    assert job_of(sweep, *dict.fromkeys([*fixed, job])).hydra.sweep.subdir[:-9] == name


def test_what_a_configuration_file_sweeps_names_the_sweep(named, compose):
    one, other = (
        composed(*more, mode=RunMode.MULTIRUN).hydra.sweep.dir
        for more in (["experiment=imbalance_sweep"], ["experiment=imbalance_sweep", "+hydra.sweeper.params.seed='1,2'"])
    )
    assert one.split("-")[-1] != other.split("-")[-1]


def test_long_names_are_shortened_and_stay_apart(compose):
    sweep = composed("gan.epochs=1,2", mode=RunMode.MULTIRUN)
    long = f"gan.checkpoint='/{'ü' * 200}/last.ckpt'"
    names = [job_of(sweep, long, f"gan.epochs={epochs}").hydra.sweep.subdir for epochs in (1, 2)]
    assert len(set(names)) == 2
    assert all(200 - 1 <= len(name.encode()) <= MOST_BYTES["job"] for name in names)
    assert not any("/" in name for name in names)

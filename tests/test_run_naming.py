"""The same command has the same folder; a command with another result has another."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.run_naming import MAX_BYTES, config_hash, list_overrides
from fer_experiments.runs.sweep_progress import SweepPlan
from fer_experiments.train.config import save_config


@pytest.fixture
def named(compose):
    """named(*overrides) -> the folder's name of a single run."""

    def name(*overrides: str, sweep: bool = False) -> str:
        config = composed(*overrides, mode=RunMode.MULTIRUN if sweep else RunMode.RUN)
        return (config.hydra.sweep.dir if sweep else config.hydra.run.dir).removeprefix("multirun/")

    return name


def composed(*overrides: str, mode: RunMode = RunMode.RUN):
    return GlobalHydra.instance().hydra.compose_config("config", list(overrides), run_mode=mode)


def job_folder(sweep, *overrides: str):
    """The configuration of a sweep's job, as a launcher composes it."""
    return GlobalHydra.instance().config_loader().load_sweep_config(sweep, list(overrides))


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        (
            ["train=cnn", "balance=oversample", "augment=traditional"],
            "cnn-faces/angry-happy_60-600_oversample+traditional_seed0_",
        ),
        (["train=cnn", "seed=7"], "cnn-faces/angry-happy_60-600_none_seed7_"),
        (["train=dcgan", "gan=conditional"], "dcgan-faces/angry-happy_60-600_conditional_seed0_"),
        (["data=folder", "data.root=/x/my pets"], "study-folder/my_pets_seed0-auto_"),
        (["data.counts={a: 1, b: 2, c: 3, d: 4, e: 5}"], "study-faces/5-classes_seed0-auto_"),
        (["train.seeds=1"], "study-faces/angry-happy_60-600_seed0_"),
        (["train.seeds=20"], "study-faces/angry-happy_60-600_seed0-19_"),
        (["train.seeds=[3,5]"], "study-faces/angry-happy_60-600_seed3,5_"),
        (
            ["train.seeds=nonsense", "seed=nonsense"],
            "study-faces/angry-happy_60-600_seednonsense_",
        ),  # refused later, by its key
        (
            ["train=evaluate", "checkpoint='multirun/cnn-x/none,seed=3-ab/checkpoints/best.ckpt'"],
            "evaluate-faces/angry-happy_60-600_none,seed=3-ab_",
        ),
        (
            ["train=evaluate", "checkpoint=study/seed_1/dcgan/checkpoints/last.ckpt"],
            "evaluate-faces/angry-happy_60-600_seed_1,dcgan_",
        ),
        (["train=evaluate", "checkpoint=/models/fer.ckpt"], "evaluate-faces/angry-happy_60-600_fer_"),
        (["train=evaluate", "checkpoint=/"], "evaluate-faces/angry-happy_60-600_"),
        (["train=evaluate", "checkpoint=multirun/v1.2"], "evaluate-faces/angry-happy_60-600_v1.2_"),
        (["train=evaluate", "checkpoint=study/seed_1/dcgan"], "evaluate-faces/angry-happy_60-600_seed_1,dcgan_"),
        (["data=folder"], "study-folder/seed0-auto_"),  # data.root is missing, which the job reports
        (["seed=${nothing}"], "study-faces/angry-happy_60-600_seedunknown_"),  # so is this
    ],
)
def test_a_run_is_named_by_what_it_is(named, overrides, start):
    name = named(*overrides)
    assert name.startswith(start)
    assert len(name) == len(start) + 8
    assert named(*overrides) == name


def test_an_override_that_cant_be_resolved_stays_as_it_is_typed(compose):
    overrides = ["gan.batch_size=${classifier.batch_size}", "gan.epochs=3"]
    assert list_overrides(composed(*overrides)) == ["gan.batch_size=32", "gan.epochs=3"]
    wrong = ["gan.epochs=${nothing}", *overrides]
    assert list_overrides(composed(*wrong)) == wrong
    sweep = composed("gan.epochs=${nothing}", "seed=1,2", mode=RunMode.MULTIRUN)
    assert sweep.hydra.sweep.dir.startswith("multirun/study-faces/gan.epochs=_nothing_,seed=1,2-")
    assert job_folder(sweep, "gan.epochs=${nothing}", "seed=1").hydra.sweep.subdir.startswith("seed=1-")
    plan = SweepPlan.from_config(sweep)
    assert plan.total == 2


@pytest.mark.parametrize(
    "override", ["rerun=true", "train.workers=2", "data.cache_dir=/x", "data.workers=3", "trainer.progress=false"]
)
def test_keys_that_change_no_result_change_no_name(named, override):
    assert named(override) == named()
    assert named("gan.epochs=1,2", override, sweep=True) == named("gan.epochs=1,2", sweep=True)
    sweep = composed(mode=RunMode.MULTIRUN)
    names = {job_folder(sweep, "gan.epochs=1", *more).hydra.sweep.subdir for more in ([], [override])}
    assert len(names) == 1


@pytest.mark.parametrize("logger", ["tensorboard", "wandb", "many"])
def test_tags_change_no_name_although_loggers_repeat_them(named, logger):
    names = [named(f"logger={logger}", f"tags={tags}").rpartition("-")[2] for tags in ("[]", "[a]", "[a,b]")]
    assert len(set(names)) == 1


@pytest.mark.parametrize(
    "override", ["gan.epochs=7", "seed=1", "data.counts={angry: 5, happy: 9}", "train.arms=[none]", "accelerator=cpu"]
)
def test_keys_that_change_a_result_change_the_name(named, override):
    assert named(override).split("-")[-1] != named().split("-")[-1]


def test_the_order_of_overrides_changes_no_name(named):
    assert named("gan.epochs=7", "seed=1") == named("seed=1", "gan.epochs=7")
    overrides = ["gan.epochs=7,8", "seed=1,2"]
    assert named(*overrides, sweep=True) == named(*reversed(overrides), sweep=True)


def test_a_saved_configuration_is_the_same_one(compose, tmp_path):
    for path in sorted((CONF_DIR / "experiment").glob("*.yaml")):
        config = compose(
            f"experiment={path.stem}", "gan.learning_rate=1e-5", "data.counts={no: 5, on: 9}", "data.minority=no"
        )
        save_config(config, tmp_path)
        assert config_hash(OmegaConf.load(tmp_path / "config.yaml")) == config_hash(config), path


def test_jobs_lie_in_the_folder_of_their_sweep_under_names_without_number(compose):
    sweep = composed("gan.epochs=1,2", "train.arms=[none,dcgan]", mode=RunMode.MULTIRUN)
    folder = sweep.hydra.sweep.dir
    jobs = [job_folder(sweep, f"gan.epochs={epochs}", "train.arms=[none,dcgan]") for epochs in (1, 2)]
    assert [job.hydra.sweep.dir for job in jobs] == [folder, folder]
    names = [job.hydra.sweep.subdir for job in jobs]
    assert [name[:-9] for name in names] == ["gan.epochs=1", "gan.epochs=2"]
    larger = composed("gan.epochs=2,3", "train.arms=[none,dcgan]", mode=RunMode.MULTIRUN)
    assert larger.hydra.sweep.dir != folder
    assert job_folder(larger, "gan.epochs=2", "train.arms=[none,dcgan]").hydra.sweep.subdir == names[1]


@pytest.mark.parametrize(
    ("overrides", "job", "name"),
    [
        (
            ["balance=none,dcgan", "++gan.epochs=5", "classifier@reference_classifier=reference"],
            "balance=dcgan",
            "balance=dcgan",
        ),
        (["seed=choice(1,2)", "data.counts={angry: 5, happy: 9}"], "seed=1", "seed=1"),
        (["seed=range(1,3)", "train=cnn,dcgan"], "seed=1", "seed=1"),
        (["gan.epochs=5"], "gan.epochs=5", "gan.epochs=5"),  # one job is named by all its overrides
        (["experiment=imbalance_sweep"], "data.imbalance=5", "data.imbalance=5"),  # hydra.sweeper.params sweeps it
    ],
)
def test_a_job_is_named_by_what_jobs_can_differ_in(compose, overrides, job, name):
    sweep = composed(*overrides, mode=RunMode.MULTIRUN)
    assert sweep.hydra.sweep.dir
    fixed = [text.replace(": ", ":").replace(", ", ",") for text in overrides if "," not in text or "{" in text]
    assert job_folder(sweep, *dict.fromkeys([*fixed, job])).hydra.sweep.subdir[:-9] == name


def test_what_a_configuration_file_sweeps_names_the_sweep(named, compose):
    names = [
        composed(*more, mode=RunMode.MULTIRUN).hydra.sweep.dir
        for more in (["experiment=imbalance_sweep"], ["experiment=imbalance_sweep", "+hydra.sweeper.params.seed='1,2'"])
    ]
    assert names[0].split("-")[-1] != names[1].split("-")[-1]


def test_long_names_are_shortened_and_stay_apart(compose):
    sweep = composed("gan.epochs=1,2", mode=RunMode.MULTIRUN)
    long = f"gan.pretrained='/{'ü' * 200}/last.ckpt'"
    names = [job_folder(sweep, long, f"gan.epochs={epochs}").hydra.sweep.subdir for epochs in (1, 2)]
    assert len(set(names)) == 2
    assert all(200 - 1 <= len(name.encode()) <= MAX_BYTES["job"] for name in names)
    assert not any("/" in name for name in names)

"""Sweeps by Hydra's plugins: jobs beside each other or on a cluster, and a search by Optuna."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.sweep_objective import negative_kid, valid_balanced_accuracy
from tests.results import build_result
from tests.test_cli import TINY_FACES, TINY_NETWORKS, command, command_in_new_process

SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.direction=maximize"]
TINY = ["trainer=smoke", *TINY_FACES, *TINY_NETWORKS]


def results_of_sweep(where: Path, job: str) -> list[Result]:
    return [Result.load(path.parent) for path in sorted(where.glob(f"multirun/{job}-faces/*/*/result.json"))]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "two_jobs", "submitit_local", "local_queue", "ray"])
def test_a_sweep_runs_under(launcher, tmp_path):
    plugin = {"two_jobs": "joblib", "local_queue": "submitit", "submitit_local": "submitit"}.get(launcher, launcher)
    pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher", reason=f"pip install 'fer-experiments[{plugin}]'")
    line = ["-m", "train=dcgan", "seed=0,1", f"hydra/launcher={launcher}", *TINY]
    done = command_in_new_process(*line, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [result.seed for result in results_of_sweep(tmp_path, "dcgan")] == [0, 1]


def test_jobs_for_slurm_ask_for_a_gpu_and_enough_time(compose):
    from hydra.core.hydra_config import HydraConfig

    compose("hydra/launcher=slurm", "hydra.launcher.partition=long")
    launcher = HydraConfig.get().launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert (launcher.gpus_per_node, launcher.timeout_min, launcher.partition) == (1, 720, "long")


def test_jobs_for_ray_have_a_gpu_each(compose):
    from hydra.core.hydra_config import HydraConfig

    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="pip install 'fer-experiments[ray]'")
    compose("hydra/launcher=ray_gpus")
    assert HydraConfig.get().launcher.ray.remote.num_gpus == 1


def test_optuna_maximizes_the_validation_score_and_keeps_its_trials(tmp_path):
    optuna = pytest.importorskip("optuna", reason="pip install 'fer-experiments[optuna]'")
    done = command("experiment=optuna", "hydra.sweeper.n_trials=2", *TINY, where=tmp_path)
    assert done.returncode == 0, done.stderr
    (sweep,) = tmp_path.glob("multirun/cnn-faces/*")
    scores = [result.metrics["valid"]["balanced_accuracy"] for result in results_of_sweep(tmp_path, "cnn")]
    trials = optuna.load_study("cnn-faces", f"sqlite:///{sweep}/optuna.db").trials
    assert [trial.value for trial in trials] == scores
    assert set(trials[0].params) == {"classifier.learning_rate", "classifier.network.dropout", "augment"}
    assert OmegaConf.load(sweep / "optimization_results.yaml").best_value == max(scores)
    assert (sweep / "report.html").is_file()
    assert "alembic" not in done.stdout


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["classifier.learning_rate=0.001", "classifier.network.dropout=0.3", "augment=none"],
            "hydra/sweeper=optuna: has nothing to search, because classifier.learning_rate, classifier.network."
            "dropout, augment have one value each; leave one of them out",
        ),
        (
            ["plan_only=true"],
            "plan_only=true: hydra/sweeper=optuna chooses the values of each job as it goes; with hydra",
        ),
    ],
)
def test_a_search_without_anything_to_choose_is_refused(tmp_path, overrides, message):
    pytest.importorskip("optuna", reason="pip install 'fer-experiments[optuna]'")
    done = command("experiment=optuna", *overrides, *TINY, where=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"fer_experiments: {message}")
    assert not (tmp_path / "multirun").exists()


# What a job returns


def scored(arm: str, valid: float, **changes) -> Result:
    result = build_result(arm, changes.pop("seed", 0), 0.1, **changes)
    return result.model_copy(
        update={"metrics": {**result.metrics, "valid": {**result.metrics["test"], "balanced_accuracy": valid}}}
    )


def test_a_study_returns_the_mean_of_its_arms_with_generated_images():
    results = [scored("none", 0.9), scored("dcgan", 0.6), scored("dcgan+traditional", 0.8)]
    assert valid_balanced_accuracy(results) == pytest.approx(0.7)
    assert valid_balanced_accuracy(results[:1]) == 0.9


def test_leaking_arms_do_not_count():
    assert valid_balanced_accuracy([scored("dcgan@leak", 1.0, protocol="leak"), scored("dcgan", 0.6)]) == 0.6


def test_a_study_s_objective_is_in_its_results(read, tmp_path):
    results = [scored("none", 0.9), scored("dcgan", 0.5), scored("dcgan", 0.6, seed=1)]
    StudyRecord(arms=["none", "dcgan"], seeds=[0, 1], results=results, versions={}).save(tmp_path)
    assert read().train.objective(tmp_path) == pytest.approx(0.55)


def test_a_gan_returns_how_near_the_generator_in_use_comes_to_real_images():
    history = [{"epoch": 1.0, "gan/kid": 0.5}, {"epoch": 2.0, "gan/score_real": 0.5}, {"epoch": 2.0, "gan/kid": 0.7}]
    result = build_result("gan", 0, 0.0, job="dcgan", history=history)
    assert negative_kid(result) == -0.7
    assert negative_kid(result.model_copy(update={"selected_epoch": 1})) == -0.5


def test_a_gan_s_return_value_is_in_its_history(compose, tmp_path):
    from fer_experiments.train.run import run_job

    settings = ["train=dcgan", "gan.kid_every=1", "data.valid_fraction=0.4", "trainer.progress=false"]
    value = run_job(compose(*settings, *SEARCH, *TINY))
    assert value == -Result.load(tmp_path / "run").history[-1]["gan/kid"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["train=cnn", "hydra.sweeper.direction=minimize"],
            r"hydra\.sweeper\.direction=minimize: .*use hydra\.sweeper\.direction=maximize",
        ),
        (
            ["train=dcgan"],
            r"a generator has nothing to maximize with gan\.kid_every=None .*use gan\.kid_every=25",
        ),
        (
            ["train.arms=[none@leak]", "train.baseline=none@leak"],
            r"all of train\.arms=\['none@leak'\] leak, .*name an arm without @leak",
        ),
    ],
)
def test_a_search_that_has_nothing_to_maximize_stops_before_any_work(run, tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        run(*SEARCH, *overrides)
    assert not (tmp_path / "run" / "config.yaml").exists()

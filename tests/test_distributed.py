"""Training on two devices: two processes (gloo, CPU) against one."""

import json
import os
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from omegaconf import open_dict, read_write

from fer_experiments.data.samplers import EpochBatches, RankBatches
from fer_experiments.distributed import gather_from_ranks, global_rank, on_rank_zero
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.launch import _check_launcher, check_batch_sizes
from fer_experiments.train.workers import choose_workers
from fer_experiments.trainer.build import build_trainer
from fer_experiments.trainer.config import TrainerConfig
from tests.conftest import TINY_FACES, TINY_NETWORKS
from tests.processes import start_process
from tests.test_cli import command_in_new_process

TWO = ["accelerator=cpu", "trainer=ddp", "trainer.devices=2"]
TINY = ["trainer.max_epochs=2", "trainer.progress=false", *TINY_FACES, *TINY_NETWORKS]
# Nothing that is drawn or depends on the other images of a batch, so that two shares of a batch make the whole.
PLAIN = ["train=cnn", "balance=class_weight", "classifier.network.dropout=0", "classifier.batch_size=8"]
GAN = ["train=dcgan", "gan.batch_size=8", "gan.ema=100"]


def train(*overrides: str) -> dict:
    """Train in this process and those beside it; return the weights, the history and the last random draw."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    from fer_experiments.__main__ import CONF_DIR
    from fer_experiments.classifier.build import build_classifier
    from fer_experiments.data.prepared import PreparedData
    from fer_experiments.train.arms.arm import Arm
    from fer_experiments.train.arms.training_images import build_datamodule
    from fer_experiments.train.config import Config
    from fer_experiments.train.gan.fit import build_gan, gan_datamodule
    from fer_experiments.train.gan.selection import training_places
    from fer_experiments.train.launch import launch_ranks

    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3", job_name="test"):
        composed = hydra.compose("config", overrides=[*TINY, *overrides], return_hydra_config=True)
    hydra_node = composed.hydra
    with open_dict(composed):
        del composed["hydra"]
    with launch_ranks(composed, hydra_node):
        config = Config.read(composed)
        data = PreparedData.prepare(config.data, 0)
        lightning.seed_everything(0, verbose=False)
        if "train=dcgan" in overrides:
            places = training_places(config.gan, data, ["angry"])
            images, model = gan_datamodule(config, data, places, 3), build_gan(config, data, ["angry"])
        else:
            plan = config.balance.plan(data.split.labels("train"), 0)
            images = build_datamodule(config, data, Arm("arm", config.balance, config.augment), plan, {})
            model = build_classifier(config.classifier, data, plan, 0)
        folder = Path(os.environ["FER_EXPERIMENTS_CACHE"]) / f"{overrides[0]}{len(overrides)}"
        trainer = build_trainer(config.trainer, "test", 2, folder, validate="train=cnn" in overrides)
        trainer.fit(model, datamodule=images)
        return {
            "state": model.state_dict(),
            "history": model.history,
            "draw": torch.rand(1),
            "steps": trainer.global_step,
            "gathered": gather_from_ranks(global_rank()),
            "rank_zero": on_rank_zero(global_rank)(),
        }


def _run_rank(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    for job in (PLAIN, GAN):
        torch.save(train(*job, *TWO), folder / f"{job[0]}-{rank}.pt")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> dict[str, list[dict]]:
    """{job: what each of two ranks has at the end}"""
    folder, port = tmp_path_factory.mktemp("ranks"), find_free_network_port()
    ranks = [
        start_process(_run_rank, rank, port, folder, folder=folder, output=folder / f"{rank}.txt") for rank in (0, 1)
    ]
    for rank in ranks:
        rank.join(300)
    assert [rank.exitcode for rank in ranks] == [0, 0], [file.read_text() for file in folder.glob("*.err")]
    return {job: [torch.load(folder / f"{job}-{rank}.pt") for rank in (0, 1)] for job in ("train=cnn", "train=dcgan")}


@pytest.mark.parametrize("job", ["train=cnn", "train=dcgan"])
def test_both_ranks_end_with_the_same_weights_statistics_and_history(pairs, job):
    first, second = pairs[job]
    assert first["state"].keys() == second["state"].keys()
    for name, value in first["state"].items():
        assert torch.equal(value, second["state"][name]), name
    assert first["history"] == second["history"]
    assert first["steps"] == second["steps"]


def test_each_rank_draws_its_own_numbers(pairs):
    assert all(first["draw"] != second["draw"] for first, second in pairs.values())


def test_every_rank_gets_what_rank_zero_returns(pairs):
    for pair in pairs.values():
        assert [rank["rank_zero"] for rank in pair] == [0, 0]
        assert [rank["gathered"] for rank in pair] == [[0, 1], [0, 1]]


def test_two_ranks_train_as_one_does_on_the_whole_batches(pairs):
    alone, both = train(*PLAIN, "accelerator=cpu"), pairs["train=cnn"][0]
    assert both["steps"] == alone["steps"]
    for name, value in alone["state"].items():
        torch.testing.assert_close(both["state"][name], value, atol=1e-4, rtol=1e-3)
    for row, row_alone in zip(both["history"], alone["history"], strict=True):
        assert row == pytest.approx(row_alone, abs=1e-3)


def test_shares_of_a_batch_make_the_batch():
    batches = EpochBatches(20, 6, steps=4, seed=0)
    shares = [RankBatches(EpochBatches(20, 6, steps=4, seed=0), number, 3) for number in range(3)]
    for epoch in (0, 5):
        for sampler in (batches, *shares):
            sampler.set_epoch(epoch)
        for batch, *parts in zip(batches, *shares, strict=True):
            assert {len(part) for part in parts} == {2}
            assert sorted(np.concatenate(parts)) == sorted(batch)


def test_a_function_for_rank_zero_stays_as_it_is_without_other_ranks():
    assert on_rank_zero(lambda a, b: a - b)(3, b=1) == 2
    with pytest.raises(ZeroDivisionError):
        on_rank_zero(lambda: 1 / 0)()


def test_a_study_on_two_devices_leaves_every_file_once(tmp_path):
    settings = [
        "train.arms=[none,dcgan]",
        "train.seeds=1",
        "gan.batch_size=8",
        "classifier.batch_size=8",
        "reference_classifier.epochs=1",
    ]
    done = command_in_new_process(*settings, "gan.kid_every=1", "data.valid_fraction=0.4", *TWO, *TINY, where=tmp_path)
    assert done.returncode == 0, done.stderr
    (study,) = tmp_path.glob("multirun/study-faces/*")
    record = StudyRecord.load(study)
    steps = 2 * -(-sum(record.results[0].real.values()) // 8)  # as many as on one device
    assert [(result.arm, result.optimizer_steps) for result in record.results] == [("none", steps), ("dcgan", steps)]
    assert all(result.device.startswith("2 × cpu") for result in record.results)
    gan = Result.load(study / "seed_0" / "gan")
    assert gan.optimizer_steps == 2 * 2 * -(-gan.real["angry"] // 8)
    manifest = pd.read_csv(study / "seed_0" / "gan" / "synthetic" / "manifest.csv")
    assert len(manifest) == record.results[1].generated["angry"]
    assert "checks" in json.loads((study / "seed_0" / "gan" / "audit.json").read_text())
    torch.load(study / "seed_0" / "gan" / "checkpoints" / "last.ckpt", weights_only=True)
    assert json.loads((study / "status.json").read_text())["state"] == "done"
    assert done.stdout.count("arm 1 of 2: none") == 1
    again = command_in_new_process(*settings, "gan.kid_every=1", "data.valid_fraction=0.4", *TWO, *TINY, where=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "already finished" in again.stdout


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["gan.batch_size=7"], r"gan\.batch_size=7: must be a multiple of the number of devices, 2"),
        (["classifier.batch_size=9"], r"classifier\.batch_size=9: must be a multiple of the number of devices, 2"),
    ],
)
def test_batches_that_cant_be_shared_evenly_are_refused(read, overrides, message):
    config = read(*TWO, *overrides)
    with pytest.raises(ConfigError, match=message):
        check_batch_sizes(config)


def test_seeds_side_by_side_on_several_devices_are_refused(read):
    config = read(*TWO, "train.seeds=2", "train.workers=2")
    with pytest.raises(ConfigError, match=r"train\.workers=2: .*use train\.workers=1"):
        config.train.check(config)
    config = read(*TWO, "train.seeds=2")
    config.train.check(config)
    assert choose_workers(config.trainer, seeds=2) == 1


def test_the_work_of_one_device_is_done_by_the_first_of_those_named(read, monkeypatch):
    trainer = read("accelerator=auto").trainer
    for cuda, devices, first, alone in (
        (False, 1, "cpu", 1),
        (True, 1, "cuda", 1),
        (True, "auto", "cuda", 1),
        (True, [2, 0], "cuda:2", [2]),
    ):
        monkeypatch.setattr("torch.cuda.is_available", lambda cuda=cuda: cuda)
        trainer = trainer.model_copy(update={"devices": devices, "strategy": "ddp"})
        assert trainer.first_device == first
        assert trainer.on_first_device.devices == alone
        assert not trainer.on_first_device.is_distributed


def test_several_devices_without_ddp_are_refused(read):
    with pytest.raises(ConfigError, match=r"trainer: strategy=auto: 2 device\(s\) on 1 node\(s\).*use trainer=ddp"):
        read("trainer.devices=2")


def test_more_gpus_than_there_are_is_refused(monkeypatch, read):
    config: TrainerConfig = read("trainer=ddp").trainer
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"trainer\.devices=2: torch finds 1 GPU\(s\) here"):
        config.check_devices()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            [],
            r"trainer\.devices=2: in a multirun each process of DDP would run the whole sweep; .*hydra/launcher=slurm",
        ),
        (["hydra/launcher=slurm"], r"hydra\.launcher\.tasks_per_node=1, .* must equal trainer\.devices=2"),
    ],
)
def test_a_sweep_on_several_devices_needs_slurm_to_start_them(compose, overrides, message):
    from fer_experiments.train.run import run_job

    composed = compose(*TWO, *overrides)
    with read_write(HydraConfig.instance().cfg.hydra):
        HydraConfig.instance().cfg.hydra.mode = RunMode.MULTIRUN
    with pytest.raises(ConfigError, match=message):
        run_job(composed)


def test_a_task_of_slurm_for_each_device_is_accepted(compose):
    from fer_experiments.train.config import Config

    composed = compose(*TWO, "hydra/launcher=slurm", "hydra.launcher.tasks_per_node=2")
    _check_launcher(Config.read(composed).trainer, HydraConfig.get().launcher)

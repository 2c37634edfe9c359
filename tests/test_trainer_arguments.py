"""Arguments of lightning.Trainer that conf/trainer does not list."""

import inspect

import lightning
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from torch import nn

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.strict_config import CONF_DIR
from fer_experiments.trainer import TrainerConfig
from fer_experiments.trainer.build import build_trainer
from fer_experiments.trainer.callbacks.gradient_clipping import GradientClipping
from fer_experiments.trainer_arguments import ADDABLE, REFUSED
from tests.conftest import group_config
from tests.test_gan import fit, small_gan


def test_every_argument_of_lightning_is_a_key_can_be_added_or_is_refused_with_a_reason():
    keys = set(OmegaConf.load(CONF_DIR / "trainer" / "auto.yaml"))
    assert set(TrainerConfig.model_fields) == (keys - {"_target_"}) | ADDABLE
    assert set(TrainerConfig.model_fields) | set(REFUSED) >= set(inspect.signature(lightning.Trainer).parameters)


@pytest.fixture
def trainer(read, tmp_path):
    """trainer(*overrides) -> the Trainer of a training."""
    deterministic = torch.are_deterministic_algorithms_enabled()

    def build(*overrides: str) -> lightning.Trainer:
        return build_trainer(read(*overrides).trainer, "test", 3, tmp_path)

    yield build
    torch.use_deterministic_algorithms(deterministic)


def test_they_reach_the_trainer(trainer):
    built = trainer("+trainer.inference_mode=false", "+trainer.detect_anomaly=true", "+trainer.deterministic=warn")
    assert not built.predict_loop.inference_mode
    assert built._detect_anomaly
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_without_them_algorithms_are_as_they_were(trainer):
    trainer("trainer=auto")
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+trainer.gradient_clp_val=1", r"\.gradient_clp_val: unknown key; did you mean trainer\.gradient_clip_val\?"),
        ("+trainer.limit_batch=1", r"\.limit_batch: unknown key; did you mean trainer\.limit_batches\?"),
        (
            "+trainer.fast_dev_run=true",
            r"\.fast_dev_run: can't be set here: use trainer.limit_batches or trainer=smoke",
        ),
        ("+trainer.max_steps=5", r"\.max_steps: can't be set here: all arms are trained for as many optimizer steps"),
        ("+trainer.gradient_clip_val=-1", r"\.gradient_clip_val=-1: input should be greater than 0"),
        ("+trainer.gradient_clip_algorithm=sum", r"\.gradient_clip_algorithm='sum': input should be 'norm' or 'value'"),
        ("+trainer.profiler=slow", r"\.profiler='slow': input should be 'simple', 'advanced' or 'pytorch'"),
        ("+trainer.deterministic=maybe", r"\.deterministic.*='maybe'"),
    ],
)
def test_what_cant_be_set_is_refused_with_the_reason(read, override, message):
    with pytest.raises(ConfigError, match=f"trainer{message}"):
        read(override)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.precision=16-mixed"], "precision=16-mixed: needs a CUDA device, because a CPU is hundreds of times"),
        (
            ["trainer.precision=16-mixed", "+trainer.gradient_clip_val=1"],
            "precision=16-mixed: its gradients are scaled",
        ),
        (["accelerator=mps"], "accelerator=mps: torch finds no Apple GPU here"),
        (["trainer.devices=2"], r"strategy=auto: 2 device\(s\) on 1 node\(s\) train by DDP; use trainer=ddp"),
        (["trainer.devices=[0]"], r"devices=\[0\]: numbers are those of GPUs; use trainer\.devices=1"),
        (["trainer.devices=[]"], r"devices=\[\]: must be how many devices"),
        (["trainer.devices=0"], "devices=0: must be how many devices"),
    ],
)
def test_what_this_machine_cant_do_is_refused(read, monkeypatch, overrides, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"trainer.*{message}"):
        read(*overrides)


@pytest.mark.parametrize(
    ("devices", "gpus", "count"), [("auto", 0, 1), ("auto", 3, 3), ("[2]", 3, 1), ("[0,2]", 3, 2), ("2", 3, 2)]
)
def test_devices_are_counted(monkeypatch, devices, gpus, count):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    config = group_config("trainer", "auto", accelerator="auto", devices=yaml.safe_load(devices))
    assert config.device_count == config.world_size == count


@pytest.mark.parametrize("devices", [[2], [0, 0], [0, 1, 2]])
def test_gpus_that_are_not_there_are_refused(monkeypatch, devices):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    config = group_config("trainer", "auto", accelerator="auto", devices=devices)
    with pytest.raises(ConfigError, match=r"trainer\.devices=\[.*\]: torch (finds 2 GPU|numbers the 2 GPU)"):
        config.check_devices()


def test_half_precision_needs_cuda_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    config = group_config("trainer", "auto", accelerator="auto", precision="16-mixed")
    config.check_devices()
    assert config.arithmetic(torch.device("cuda")) == "16-mixed"


class GradientSizes(lightning.Callback):
    """Notes the norm and the largest entry of each optimizer's gradients before its step."""

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.largest: list[float] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
        self.norms.append(float(nn.utils.get_total_norm(gradients)))
        self.largest.append(max(float(gradient.abs().max()) for gradient in gradients))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_of_both_networks_are_clipped(tmp_path, precision):
    before, by_norm, by_value = GradientSizes(), GradientSizes(), GradientSizes()
    callbacks = [before, GradientClipping(1e-2, "norm"), by_norm, GradientClipping(1e-4, "value"), by_value]
    torch.manual_seed(0)
    fit(small_gan(), tmp_path, epochs=1, callbacks=callbacks, precision=precision)
    assert len(before.norms) == 2 * 3  # of both networks, in three batches
    assert min(before.norms) > 1e-2
    assert by_norm.norms == pytest.approx([1e-2] * 6, rel=1e-3)
    assert by_value.largest == pytest.approx([1e-4] * 6)


def test_clipping_changes_a_training_and_profiling_does_not(run, tmp_path):
    plain, profiled, clipped = (
        Result.load(run("train=cnn", *overrides, folder=tmp_path / name))
        for name, overrides in (
            ("plain", []),
            ("profiled", ["trainer=profile", "trainer.max_epochs=2", "trainer.limit_batches=2"]),
            ("clipped", ["+trainer.gradient_clip_val=1e-3"]),
        )
    )
    assert "run_training_epoch" in (tmp_path / "profiled" / "fit-profile.txt").read_text()
    assert profiled.history == plain.history != clipped.history
    assert profiled.fingerprint == plain.fingerprint != clipped.fingerprint


@pytest.mark.parametrize("option", ["debug", "deterministic"])
@pytest.mark.parametrize("job", ["dcgan", "cnn"])
def test_a_job_runs_under_every_trainer(run, trainer, job, option):
    result = Result.load(run(f"train={job}", f"trainer={option}", "trainer.max_epochs=1", "trainer.limit_batches=2"))
    assert result.optimizer_steps > 0


@pytest.mark.parametrize(
    ("is_fast", "key", "precision", "message"),
    [
        (True, "auto", "bf16-mixed", "trainer.precision=auto: bf16-mixed on this cpu"),
        (False, "auto", "32-true", "trainer.precision=auto: 32-true on this cpu"),
        (True, "bf16-mixed", "bf16-mixed", ""),
        (False, "bf16-mixed", "bf16-mixed", "trainer.precision=bf16-mixed: this cpu has no arithmetic for bfloat16"),
        (True, "32-true", "32-true", ""),
    ],
)
def test_precision_is_chosen_by_what_the_processor_has(monkeypatch, read, caplog, is_fast, key, precision, message):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: is_fast)
    with caplog.at_level("INFO"):
        config = read("accelerator=cpu", f"trainer.precision={key}")
    assert config.trainer.chosen_precision == precision
    assert config.trainer.arithmetic(torch.device("cpu")) == ("fp32" if precision == "32-true" else precision)
    messages = [record.getMessage() for record in caplog.records if "precision" in record.getMessage()]
    assert [text[: len(message)] for text in messages] == ([message] if message else [])


@pytest.mark.parametrize("is_supported", [False, True])
def test_a_gpu_with_bfloat16_uses_it(monkeypatch, is_supported):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: is_supported)
    config = group_config("trainer", "auto", accelerator="auto", precision="auto")
    assert config.chosen_precision == ("bf16-mixed" if is_supported else "32-true")

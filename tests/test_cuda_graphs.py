"""Captured steps: on the CPU with graphs that are simulated, and on a GPU compared with eager steps."""

import contextlib
import warnings
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader

from fer_experiments.augment import Traditional
from fer_experiments.balance.objective import Objective
from fer_experiments.classifier.module import Classifier
from fer_experiments.classifier.networks import CNN
from fer_experiments.gan import averaging
from fer_experiments.gan.averaging import compute_decay
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import Generator
from fer_experiments.joint.module import ExternalClassifier, JointClassifier, TwoHeadedClassifier
from fer_experiments.joint.networks import Trunk
from fer_experiments.trainer.callbacks import cuda_graphs
from fer_experiments.trainer.callbacks.cuda_graphs import WARM_UP_CALLS, CapturedFunction, CUDAGraphs, run_on_streams
from tests.conftest import classifier_config, gan_config, joint_config


class SimulatedGraph:
    """Stands for a CUDA graph on the CPU: the capture stores the function's work, and a replay repeats it."""

    recording = None

    def replay(self):
        self.work()


@pytest.fixture
def simulated(monkeypatch):
    """Simulate the graphs of torch.cuda on the CPU; give the list of the debug modes that were set.

    While a graph is captured it is SimulatedGraph.recording, and a function stores its work there.
    """

    @contextlib.contextmanager
    def record(graph, **options):
        SimulatedGraph.recording = graph
        try:
            yield
        finally:
            SimulatedGraph.recording = None

    class Stream:
        def wait_stream(self, stream):
            pass

    modes = []
    for name, value in {
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "CUDAGraph": SimulatedGraph,
        "graph": record,
        "set_sync_debug_mode": modes.append,
    }.items():
        monkeypatch.setattr(cuda_graphs.torch.cuda, name, value)
    return modes


def double(x):
    output = torch.zeros_like(x)

    def work():
        output.copy_(2 * x)

    if SimulatedGraph.recording is None:
        work()
    else:
        SimulatedGraph.recording.work = work
    return output


def test_replays_give_each_call_its_own_value(simulated):
    step = CapturedFunction(double, "the step")
    values = [step(torch.tensor([float(n)])) for n in range(WARM_UP_CALLS + 4)]
    assert [value.item() for value in values] == [2.0 * n for n in range(WARM_UP_CALLS + 4)]
    assert step.graph is not None


def test_every_replay_is_counted_and_the_capture_is_not(simulated):
    counts = []

    def step(x):
        counts.append("host")
        return double(x)

    @contextlib.contextmanager
    def uncounted():
        before = len(counts)
        yield
        del counts[before:]

    captured = CapturedFunction(step, "the step", capture_context=uncounted, on_replay=lambda: counts.append("replay"))
    for _ in range(WARM_UP_CALLS + 3):
        captured(torch.ones(1))
    assert counts == ["host"] * WARM_UP_CALLS + ["replay"] * 3


def test_inputs_of_another_shape_run_eagerly(simulated):
    step = CapturedFunction(double, "the step")
    for _ in range(WARM_UP_CALLS + 1):
        step(torch.ones(2))
    assert step(torch.ones(3)).tolist() == [2.0] * 3
    assert step(torch.full((2,), 3.0)).tolist() == [6.0] * 2


def synchronize(x):
    """Do what a graph can't capture, with the warning that torch then gives in its debug mode."""
    assert SimulatedGraph.recording is None
    warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
    return 2 * x


@pytest.mark.filterwarnings("ignore:called a synchronizing CUDA operation")
def test_a_function_that_waits_for_the_device_runs_eagerly_with_one_line_in_the_log(simulated, caplog):
    step = CapturedFunction(synchronize, "the step")
    values = [step(torch.tensor([float(n)])).item() for n in range(WARM_UP_CALLS + 3)]
    assert values == [2.0 * n for n in range(WARM_UP_CALLS + 3)]
    assert simulated == ["warn", "default"]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(
        "trainer.cuda_graphs: the step can't be captured and runs eagerly, more slowly: it waits "
    )
    assert "test_cuda_graphs.py:" in message


@pytest.mark.filterwarnings("ignore:called a synchronizing CUDA operation")
def test_a_function_that_waits_for_the_device_stops_if_capture_is_required(simulated):
    step = CapturedFunction(synchronize, "the step", required=True)
    for _ in range(WARM_UP_CALLS - 1):
        step(torch.ones(1))
    with pytest.raises(RuntimeError, match=r"trainer\.cuda_graphs=true: the step can.t be captured: it waits for the"):
        step(torch.ones(1))
    assert simulated == ["warn", "default"]


@pytest.mark.parametrize("required", [False, True])
def test_a_capture_that_fails_ends_the_training(simulated, required):
    def fail(x):
        if SimulatedGraph.recording is not None:
            raise RuntimeError("operation not permitted when stream is capturing")
        return x

    step = CapturedFunction(fail, "the step", required)
    for _ in range(WARM_UP_CALLS):
        step(torch.ones(1))
    with pytest.raises(
        RuntimeError, match=r"the step can.t be captured: operation .*; start again with trainer\.cuda_gr"
    ):
        step(torch.ones(1))


# With Lightning


def small_gan_config(**keys: Any) -> Any:
    return gan_config(**({"latent_dim": 8, "width": 4, "image_size": 32} | keys))


def build_classifier(**keys: Any) -> Classifier:
    torch.manual_seed(0)
    network = CNN(2, image_size=22, dropout=0.0)
    config = classifier_config(**keys)
    return Classifier(network, config, classes=["a", "b"], objective=Objective(), provenance={})


def build_dcgan() -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(small_gan_config(loss="non_saturating"), channels=3, provenance={})


def build_recipe() -> DCGAN:
    """Build a conditional GAN with every part that draws, averages or differentiates twice."""
    torch.manual_seed(0)
    gan = small_gan_config(
        conditional=True,
        discriminator_outputs=1,
        loss="hinge",
        regularizer="r1",
        r1_gamma=0.1,
        ema=100,
        random_flip=True,
        diffaugment="color,translation,cutout",
    )
    return DCGAN(gan, channels=3, provenance={}, classes=["a", "b"])


def build_joint(head: str) -> JointClassifier:
    torch.manual_seed(0)
    network, module_class = (
        (CNN(2, image_size=32), ExternalClassifier) if head == "external" else (Trunk(2, 3, 32, 4), TwoHeadedClassifier)
    )
    return module_class(
        network,
        classifier_config(learning_rate=5e-4),
        gan=small_gan_config(discriminator_outputs=1, ema=100, diffaugment="color"),
        joint=joint_config(head=head, threshold=0.0),
        augment=Traditional(flip=0.5, degrees=10.0, translate=0.1, scale=0.1).transform_float,
        class_probabilities=[0.5, 0.5],
        in_class_loss=8,
        classes=["a", "b"],
        objective=Objective(),
        provenance={"image_size": 32, "channels": 3},
    )


def build_two_headed() -> JointClassifier:
    return build_joint("adc")


def build_external() -> JointClassifier:
    return build_joint("external")


def fit(model, accelerator, callbacks, precision="32-true"):
    torch.manual_seed(1)
    size = 22 if type(model) is Classifier else 32
    batches = [(torch.rand(16, 3, size, size), torch.arange(16) % 2) for _ in range(WARM_UP_CALLS + 5)]
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=2,
        precision=precision,
        limit_val_batches=0,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    torch.manual_seed(2)
    trainer.fit(model, DataLoader(batches, batch_size=None))
    return trainer


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_steps_on_the_cpu_are_not_captured():
    model = build_dcgan()
    trainer = fit(model, "cpu", [CUDAGraphs(required=False)])
    assert trainer.global_step == 2 * 2 * (WARM_UP_CALLS + 5)
    assert "step" not in vars(model)


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_a_classifier_is_trained_eagerly_even_if_capture_is_required():
    assert fit(build_classifier(), "cpu", [CUDAGraphs(required=True)]).global_step == 2 * (WARM_UP_CALLS + 5)


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("build", [build_two_headed, build_external])
def test_every_weight_of_a_joint_training_learns_and_all_images_are_counted(build, precision):
    model = build()
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer = fit(model, "cpu", [], precision)
    assert all(not torch.equal(value, before[name]) for name, value in model.named_parameters())
    batches = trainer.global_step // len(trainer.optimizers)
    assert batches == 2 * (WARM_UP_CALLS + 5)
    assert sum(model.generated_by_class().values()) == batches * (16 if build is build_two_headed else 8)


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_capture_that_is_required_but_impossible_stops():
    with pytest.raises(RuntimeError, match=r"trainer\.cuda_graphs=true: CUDA graphs need a CUDA device, not cpu"):
        fit(build_dcgan(), "cpu", [CUDAGraphs(required=True)])


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_replayed_steps_are_counted_by_lightning(simulated, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "why_not_capturable", lambda trainer: None)
    monkeypatch.setattr(SimulatedGraph, "work", lambda self: None, raising=False)
    model = build_dcgan()
    pair = [SGD([parameter], 0.1) for parameter in list(model.parameters())[:2]]
    monkeypatch.setattr(model, "configure_optimizers", lambda: pair)

    def step(*batch):
        for optimizer in model.optimizers():
            optimizer.step()
        return {"train/loss": torch.zeros(())}

    model.step = step
    trainer = fit(model, "cpu", [CUDAGraphs(required=True)])
    assert trainer.global_step == 2 * (WARM_UP_CALLS + 5) * 2


class Noise(lightning.LightningDataModule):
    """Batches for build_dcgan(), to each of which a random number of the host is added."""

    def __init__(self, capturable):
        super().__init__()
        self.capturable = capturable
        self.draws, self.captured = [], []

    def train_dataloader(self):
        return DataLoader([(torch.zeros(4, 3, 32, 32), torch.arange(4) % 2)] * (WARM_UP_CALLS + 5), batch_size=None)

    def prepare_training(self, images):
        draw = torch.rand(())
        self.draws.append(draw.item())
        return images + draw

    def on_after_batch_transfer(self, batch, index):
        self.captured.append(isinstance(vars(self).get("prepare_training"), CapturedFunction))
        return self.prepare_training(batch[0]), batch[1]


@pytest.fixture
def capturing(simulated, monkeypatch):
    """capturing(data, required): train with CUDAGraphs and simulated graphs on the CPU; return the data module."""
    monkeypatch.setattr(cuda_graphs, "why_not_capturable", lambda trainer: None)
    monkeypatch.setattr(SimulatedGraph, "work", lambda self: None, raising=False)
    model = build_dcgan()
    model.step = lambda *batch: {"gan/loss_generator": torch.zeros(())}

    def fit_on(data, required=False):
        lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            limit_val_batches=0,
            logger=False,
            callbacks=[CUDAGraphs(required)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(model, datamodule=data)
        return data

    return fit_on


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_augmentation_that_draws_on_the_host_draws_anew_in_every_step(capturing, caplog):
    data = capturing(Noise(capturable=False))
    assert data.captured == [False] * (WARM_UP_CALLS + 5)
    assert len(set(data.draws)) == WARM_UP_CALLS + 5
    assert [record.getMessage() for record in caplog.records if "augmentation" in record.getMessage()] == [
        "trainer.cuda_graphs: augmentation can't be captured and runs eagerly, more slowly: it draws random numbers on "
        "the host, and a graph would repeat those of one batch"
    ]


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
@pytest.mark.parametrize("required", [False, True])
def test_augmentation_that_draws_on_the_device_is_captured(capturing, required):
    data = capturing(Noise(capturable=True), required)
    assert data.captured == [True] * (WARM_UP_CALLS + 5)
    assert len(data.draws) == WARM_UP_CALLS + 1  # and one in the capture
    assert "prepare_training" not in vars(data)


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_augmentation_that_draws_on_the_host_stops_if_capture_is_required(capturing):
    reason = r"augmentation can't be captured: it draws random numbers on the host.*trainer\.cuda_graphs=auto runs"
    with pytest.raises(RuntimeError, match=rf"trainer\.cuda_graphs=true: {reason}"):
        capturing(Noise(capturable=False), required=True)


class TrainerOnCUDA:
    """Stands for a Trainer on one CUDA device, which need not exist, in `why_not_capturable`."""

    world_size, lr_scheduler_configs, precision = 1, (), "32-true"

    def __init__(self, optimizer, **changes):
        self.strategy = SimpleNamespace(root_device=torch.device("cuda"))
        self.optimizers = [optimizer]
        vars(self).update(changes)


def test_steps_whose_host_values_a_graph_would_freeze_are_not_capturable():
    layer = nn.Linear(2, 2)
    for optimizer in (torch.optim.Adam, torch.optim.AdamW, SGD):
        assert cuda_graphs.why_not_capturable(TrainerOnCUDA(optimizer(layer.parameters(), 0.1))) is None
    adam = torch.optim.Adam(layer.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 10)
    reason = cuda_graphs.why_not_capturable(TrainerOnCUDA(adam, lr_scheduler_configs=[schedule]))
    assert reason == (
        "a CUDA graph would keep the learning rate of its first step; classifier.schedule=null has one rate only"
    )
    reason = cuda_graphs.why_not_capturable(TrainerOnCUDA(adam, precision="16-mixed"))
    assert reason == "precision=16-mixed scales the loss by a number that the host changes"
    reason = cuda_graphs.why_not_capturable(TrainerOnCUDA(torch.optim.Adagrad(layer.parameters(), 0.1)))
    assert reason == "Adagrad counts its steps on the host, which a CUDA graph would not repeat"


def test_steps_that_cant_be_captured_on_a_gpu_say_why(caplog):
    trainer = TrainerOnCUDA(torch.optim.Adagrad(nn.Linear(2, 2).parameters(), 0.1))
    CUDAGraphs(required=False).on_train_start(trainer, build_dcgan())
    assert [record.getMessage() for record in caplog.records] == [
        "trainer.cuda_graphs: steps run eagerly, more slowly: Adagrad counts its steps on the host, which a CUDA graph "
        "would not repeat"
    ]
    with pytest.raises(RuntimeError, match=r"trainer\.cuda_graphs=true: Adagrad counts its steps on the host"):
        CUDAGraphs(required=True).on_train_start(trainer, build_dcgan())


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_the_average_of_a_generator_is_updated_while_steps_are_replayed(simulated, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "why_not_capturable", lambda trainer: None)
    monkeypatch.setattr(SimulatedGraph, "work", lambda self: None, raising=False)
    decays = []
    monkeypatch.setattr(averaging, "update_average", lambda average, network, decay: decays.append(decay))
    model = build_recipe()

    def step(*batch):
        for optimizer in model.optimizers():
            optimizer.step()
        return {"gan/loss_generator": torch.zeros(())}

    model.step = model.step_with_penalty = step
    fit(model, "cpu", [CUDAGraphs(required=True)])
    assert decays == [compute_decay(16, 16 * step, half_life=100) for step in range(1, 2 * (WARM_UP_CALLS + 5) + 1)]


@pytest.mark.gpu
@pytest.mark.parametrize("build", [build_dcgan, build_recipe, build_two_headed, build_external])
@pytest.mark.parametrize(("precision", "tolerance"), [("32-true", 1e-4), ("bf16-mixed", 2e-2)])
def test_captured_steps_do_what_eager_steps_do(build, precision, tolerance):
    eager, captured = build(), build()
    first = fit(eager, "gpu", [], precision)
    second = fit(captured, "gpu", [CUDAGraphs(required=True)], precision)
    assert first.global_step == second.global_step == 2 * (WARM_UP_CALLS + 5) * len(first.optimizers)
    for value, expected in zip(captured.state_dict().values(), eager.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
def test_a_network_that_reads_a_value_from_the_device_runs_eagerly(caplog):
    class ReadingGenerator(Generator):
        def forward(self, z, labels=None):
            return super().forward(z * (1.0 if z.max().item() > 0 else 0.5), labels)

    model = build_dcgan()
    model.generator = ReadingGenerator(8, 4, 3, 32, None)
    trainer = fit(model, "gpu", [CUDAGraphs(required=False)])
    assert trainer.global_step == 2 * 2 * (WARM_UP_CALLS + 5)
    assert len([r for r in caplog.records if "runs eagerly" in r.getMessage()]) == 1
    assert torch.rand(1, device="cuda").item() < 1  # the random generator still works


@pytest.mark.gpu
def test_models_on_streams_in_one_graph_do_what_they_do_alone():
    torch.manual_seed(0)
    layers = [nn.Linear(8, 8).cuda() for _ in range(4)]
    images = torch.rand(16, 8, device="cuda")
    together = CapturedFunction(
        lambda x: run_on_streams([lambda layer=layer: layer(x).sum() for layer in layers])(), "models"
    )
    for _ in range(WARM_UP_CALLS + 2):
        values = together(images)
    torch.testing.assert_close(values, torch.stack([layer(images).sum() for layer in layers]))

"""Captured steps: what they do on the host with a graph that is played here, and on a GPU what eager steps do."""

import contextlib
from types import SimpleNamespace

import lightning
import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader

from fer_experiments.augment import Traditional
from fer_experiments.balance import Objective
from fer_experiments.classifier.module import Classifier
from fer_experiments.classifier.networks import CNN
from fer_experiments.gan import averaging
from fer_experiments.gan.averaging import decay
from fer_experiments.gan.module import DCGAN
from fer_experiments.joint.module import External, JointClassifier, TwoHeaded
from fer_experiments.joint.networks import Trunk
from fer_experiments.train import capture
from fer_experiments.train.capture import WARM_UP, Captured, CaptureSteps, on_streams
from tests.conftest import joint_config


class PlayedGraph:
    """Stands for a CUDA graph on the CPU: capture notes the function's work, replay does it again."""

    recording = None

    def replay(self):
        self.work()


@pytest.fixture
def played(monkeypatch):
    """torch.cuda's graphs played on the CPU. Work in a capture is noted by note(work), which replays repeat."""

    @contextlib.contextmanager
    def record(graph, **options):
        PlayedGraph.recording = graph
        yield
        PlayedGraph.recording = None

    class Stream:
        def wait_stream(self, other):
            pass

    class Generator:
        restored = False

        def clone_state(self):
            return self

        def graphsafe_set_state(self, state):
            self.restored = True

    generator = Generator()
    for name, value in {
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "CUDAGraph": PlayedGraph,
        "graph": record,
        "default_generators": [generator],
        "current_device": lambda: 0,
    }.items():
        monkeypatch.setattr(capture.torch.cuda, name, value)
    return generator


def doubled(x):
    output = torch.zeros_like(x)

    def work():
        output.copy_(2 * x)

    if PlayedGraph.recording is None:
        work()
    else:
        PlayedGraph.recording.work = work
    return output


def test_replays_give_each_call_its_own_value(played):
    step = Captured(doubled, "the step")
    values = [step(torch.tensor([float(n)])) for n in range(WARM_UP + 4)]
    assert [value.item() for value in values] == [2.0 * n for n in range(WARM_UP + 4)]
    assert step.graph is not None


def test_every_replay_is_counted_and_the_capture_is_not(played):
    counts = []

    def step(x):
        counts.append("host")
        return doubled(x)

    @contextlib.contextmanager
    def uncounted():
        before = len(counts)
        yield
        del counts[before:]

    captured = Captured(step, "the step", recording=uncounted, replayed=lambda: counts.append("replay"))
    for _ in range(WARM_UP + 3):
        captured(torch.ones(1))
    assert counts == ["host"] * WARM_UP + ["replay"] * 3


def test_another_shape_runs_eagerly(played):
    step = Captured(doubled, "the step")
    for _ in range(WARM_UP + 1):
        step(torch.ones(2))
    assert step(torch.ones(3)).tolist() == [2.0] * 3
    assert step(torch.full((2,), 3.0)).tolist() == [6.0] * 2


def synchronising(x):
    if PlayedGraph.recording is not None:
        PlayedGraph.recording = None
        raise RuntimeError("operation not permitted when stream is capturing\nmore")
    return 2 * x


def test_what_cannot_be_captured_runs_eagerly_with_one_line(played, caplog):
    step = Captured(synchronising, "the step")
    assert [step(torch.tensor([float(n)])).item() for n in range(WARM_UP + 3)] == [2.0 * n for n in range(WARM_UP + 3)]
    assert played.restored
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "trainer.capture: the step can't be captured and runs eagerly, more slowly: operation not permitted when "
        "stream is capturing"
    ]


def test_what_must_be_captured_stops(played):
    step = Captured(synchronising, "the step", required=True)
    for _ in range(WARM_UP):
        step(torch.ones(1))
    with pytest.raises(RuntimeError, match=r"trainer\.capture=true: the step can.t be captured: operation"):
        step(torch.ones(1))


# With Lightning

ADAM = {"_target_": "torch.optim.Adam", "fused": True}
GAN = {"latent_dim": 8, "width": 4, "channels": 3, "image_size": 32, "discriminator_outputs": 2}


def classifier() -> Classifier:
    torch.manual_seed(0)
    network = CNN(2, image_size=22, dropout=0.0)
    return Classifier(
        network, classes=["a", "b"], optimizer=ADAM, learning_rate=1e-3, objective=Objective(), provenance={}
    )


def dcgan() -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(**GAN, loss="non_saturating", learning_rate=2e-4, betas=[0.5, 0.999], provenance={})


def recipe() -> DCGAN:
    """The conditional GAN with all that draws, averages or differentiates twice."""
    torch.manual_seed(0)
    extras = {
        "classes": ["a", "b"],
        "r1_gamma": 0.1,
        "ema": 100,
        "mirror": True,
        "diffaugment": "color,translation,cutout",
    }
    settings = GAN | {"discriminator_outputs": 1} | extras
    return DCGAN(**settings, loss="hinge", learning_rate=2e-4, betas=[0.5, 0.999], provenance={})


def joint(head: str) -> JointClassifier:
    torch.manual_seed(0)
    network, kind = (CNN(2, image_size=32), External) if head == "external" else (Trunk(2, 3, 32, 4), TwoHeaded)
    return kind(
        network,
        joint=joint_config(head=head, threshold=0.0),
        augment=Traditional(flip=0.5, degrees=10.0, translate=0.1, scale=0.1).smooth,
        probabilities=[0.5, 0.5],
        classed=8,
        learning_rate_generator=2e-4,
        learning_rate_discriminator=2e-4,
        betas=[0.5, 0.999],
        ema=100,
        diffaugment="color",
        spectral_norm=False,
        loss="bce",
        classes=["a", "b"],
        optimizer=ADAM,
        learning_rate=5e-4,
        objective=Objective(),
        provenance={"image_size": 32},
        **{name: value for name, value in GAN.items() if name != "discriminator_outputs"},
    )


def two_headed() -> JointClassifier:
    return joint("adc")


def external() -> JointClassifier:
    return joint("external")


def fit(model, accelerator, callbacks, precision="32-true"):
    torch.manual_seed(1)
    size = 22 if type(model) is Classifier else 32
    batches = [(torch.rand(16, 3, size, size), torch.arange(16) % 2) for _ in range(WARM_UP + 5)]
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
def test_on_the_cpu_steps_stay_as_they_are():
    model = classifier()
    trainer = fit(model, "cpu", [CaptureSteps(required=False)])
    assert trainer.global_step == 2 * (WARM_UP + 5)
    assert "step" not in vars(model)


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("build", [two_headed, external])
def test_every_weight_of_a_joint_training_learns_and_all_images_are_counted(build, precision):
    model = build()
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer = fit(model, "cpu", [], precision)
    assert all(not torch.equal(value, before[name]) for name, value in model.named_parameters())
    batches = trainer.global_step // len(trainer.optimizers)
    assert (batches, sum(model.seen().values())) == (2 * (WARM_UP + 5), batches * (16 if build is two_headed else 8))


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_capture_that_is_required_but_impossible_stops():
    with pytest.raises(RuntimeError, match=r"trainer\.capture=true: CUDA graphs need a CUDA device, not cpu"):
        fit(classifier(), "cpu", [CaptureSteps(required=True)])


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
@pytest.mark.parametrize("build", [classifier, dcgan])
def test_replayed_steps_are_counted_by_lightning(played, monkeypatch, build):
    monkeypatch.setattr(capture, "impossible", lambda trainer: None)
    monkeypatch.setattr(PlayedGraph, "work", lambda self: None, raising=False)
    model = build()
    pair = [SGD([parameter], 0.1) for parameter in list(model.parameters())[:2]]
    monkeypatch.setattr(model, "configure_optimizers", lambda: pair)

    def step(*batch):
        for optimizer in model.optimizers():
            optimizer.step()
        return torch.zeros(4)

    model.step = step
    trainer = fit(model, "cpu", [CaptureSteps(required=True)])
    assert trainer.global_step == 2 * (WARM_UP + 5) * 2


class Noise(lightning.LightningDataModule):
    """Batches of classifier(), each with a draw of the host's added."""

    def __init__(self, capturable):
        super().__init__()
        self.capturable = capturable
        self.draws, self.captured = [], []

    def train_dataloader(self):
        return DataLoader([(torch.zeros(4, 3, 22, 22), torch.arange(4) % 2)] * (WARM_UP + 5), batch_size=None)

    def prepare_training(self, images):
        draw = torch.rand(())
        self.draws.append(draw.item())
        return images + draw

    def on_after_batch_transfer(self, batch, index):
        self.captured.append(isinstance(vars(self).get("prepare_training"), Captured))
        return self.prepare_training(batch[0]), batch[1]


@pytest.fixture
def capturing(played, monkeypatch):
    """CaptureSteps on the CPU: the module's steps and, where it may, a data module's preparation are wrapped."""
    monkeypatch.setattr(capture, "impossible", lambda trainer: None)
    monkeypatch.setattr(PlayedGraph, "work", lambda self: None, raising=False)
    model = classifier()
    model.step = lambda *batch: torch.zeros(4)

    def fitted(data, required=False):
        lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            limit_val_batches=0,
            logger=False,
            callbacks=[CaptureSteps(required)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(model, datamodule=data)
        return data

    return fitted


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_augmentation_that_draws_on_the_host_draws_anew_in_every_step(capturing, caplog):
    data = capturing(Noise(capturable=False))
    assert data.captured == [False] * (WARM_UP + 5)
    assert len(set(data.draws)) == WARM_UP + 5
    assert [record.getMessage() for record in caplog.records if "augmentation" in record.getMessage()] == [
        "trainer.capture: augmentation can't be captured and runs eagerly, more slowly: it draws on the host, and a "
        "graph would repeat one draw"
    ]


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
@pytest.mark.parametrize("required", [False, True])
def test_augmentation_that_draws_on_the_device_is_captured(capturing, required):
    data = capturing(Noise(capturable=True), required)
    assert data.captured == [True] * (WARM_UP + 5)
    assert len(data.draws) == WARM_UP + 1  # and one in the capture
    assert "prepare_training" not in vars(data)


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_augmentation_that_draws_on_the_host_stops_where_capture_is_required(capturing):
    message = r"trainer\.capture=true: augmentation can't be captured: it draws on the host.*trainer\.capture=auto runs"
    with pytest.raises(RuntimeError, match=message):
        capturing(Noise(capturable=False), required=True)


class OnCUDA:
    """What `impossible` asks of a trainer, on one CUDA device that need not be there."""

    world_size, lr_scheduler_configs = 1, ()

    def __init__(self, optimizer, **changes):
        self.strategy = SimpleNamespace(root_device=torch.device("cuda"))
        self.optimizers = [optimizer]
        vars(self).update(changes)


def test_what_a_graph_would_freeze_on_the_host_is_not_captured():
    layer = nn.Linear(2, 2)
    for fit_for_it in (torch.optim.Adam, torch.optim.AdamW, SGD):
        assert capture.impossible(OnCUDA(fit_for_it(layer.parameters(), 0.1))) is None
    adam = torch.optim.Adam(layer.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 10)
    reason = capture.impossible(OnCUDA(adam, lr_scheduler_configs=[schedule]))
    assert reason == (
        "a CUDA graph would keep the learning rate of its first step; use classifier.schedule=null to have one"
    )
    reason = capture.impossible(OnCUDA(torch.optim.Adagrad(layer.parameters(), 0.1)))
    assert reason == "Adagrad counts its steps on the host, which a CUDA graph would not repeat"


def test_steps_that_cant_be_captured_on_a_gpu_say_why(caplog):
    trainer = OnCUDA(torch.optim.Adagrad(nn.Linear(2, 2).parameters(), 0.1))
    CaptureSteps(required=False).on_train_start(trainer, classifier())
    assert [record.getMessage() for record in caplog.records] == [
        "trainer.capture: steps run eagerly, more slowly: Adagrad counts its steps on the host, which a CUDA graph "
        "would not repeat"
    ]
    with pytest.raises(RuntimeError, match=r"trainer\.capture=true: Adagrad counts its steps on the host"):
        CaptureSteps(required=True).on_train_start(trainer, classifier())


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_a_schedule_reaches_the_reasons_against_capture(monkeypatch, caplog):
    found = []
    monkeypatch.setattr(capture, "impossible", lambda trainer: found.append(len(trainer.lr_scheduler_configs)) or "no")
    for schedule in (None, "cosine"):
        model = classifier()
        model.schedule = schedule
        fit(model, "cpu", [CaptureSteps(required=False)])
    assert found == [0, 1]


@pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
def test_a_generators_average_goes_on_while_steps_are_replayed(played, monkeypatch):
    monkeypatch.setattr(capture, "impossible", lambda trainer: None)
    monkeypatch.setattr(PlayedGraph, "work", lambda self: None, raising=False)
    kept = []
    monkeypatch.setattr(averaging, "update_average", lambda average, network, share: kept.append(share))
    model = recipe()
    model.step = lambda *batch: [optimizer.step() for optimizer in model.optimizers()] and torch.zeros(4)
    fit(model, "cpu", [CaptureSteps(required=True)])
    assert kept == [decay(16, 16 * step, half_life=100) for step in range(1, 2 * (WARM_UP + 5) + 1)]


@pytest.mark.gpu
@pytest.mark.parametrize("build", [classifier, dcgan, recipe, two_headed, external])
@pytest.mark.parametrize(("precision", "tolerance"), [("32-true", 1e-4), ("bf16-mixed", 2e-2)])
def test_captured_steps_do_what_eager_steps_do(build, precision, tolerance):
    eager, captured = build(), build()
    first = fit(eager, "gpu", [], precision)
    second = fit(captured, "gpu", [CaptureSteps(required=True)], precision)
    assert first.global_step == second.global_step == 2 * (WARM_UP + 5) * len(first.optimizers)
    for mine, other in zip(captured.state_dict().values(), eager.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
def test_a_network_that_asks_the_device_runs_eagerly(caplog):
    class Asking(CNN):
        def forward(self, images):
            return super().forward(images * (1.0 if images.max().item() > 0 else 0.5))

    model = classifier()
    model.network = Asking(2, image_size=22)
    trainer = fit(model, "gpu", [CaptureSteps(required=False)])
    assert trainer.global_step == 2 * (WARM_UP + 5)
    assert len([r for r in caplog.records if "runs eagerly" in r.getMessage()]) == 1
    assert torch.rand(1, device="cuda").item() < 1  # the generator survives


@pytest.mark.gpu
def test_models_on_streams_in_one_graph_do_what_they_do_alone():
    torch.manual_seed(0)
    layers = [nn.Linear(8, 8).cuda() for _ in range(4)]
    images = torch.rand(16, 8, device="cuda")
    together = Captured(lambda x: on_streams([lambda layer=layer: layer(x).sum() for layer in layers])(), "models")
    for _ in range(WARM_UP + 2):
        values = together(images)
    torch.testing.assert_close(values, torch.stack([layer(images).sum() for layer in layers]))

"""Optimizer, schedule, weight average and flipped images of classifiers, and the contract of conf/classifier/."""

import math

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader
from torchvision.models import resnet18
from torchvision.transforms.v2.functional import normalize

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.balance.objective import Objective
from fer_experiments.classifier.module import MONITORED_METRIC, Classifier
from fer_experiments.classifier.networks import CNN, ResNet18, build_network
from fer_experiments.classifier.recipe import build_optimizer, build_schedule, flip_averaged_logits
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.trainer.callbacks.weight_average import WeightAverage, decay_after
from tests.conftest import classifier_config

SGD = {"_target_": "torch.optim.SGD"}
NO_KEYS = ["~classifier.optimizer.weight_decay", "~classifier.optimizer.fused"]


class Small(nn.Module):
    """A convolution, BatchNorm and a linear layer."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))

    def forward(self, images):
        return self.layers(images)


def fit(model: Classifier, callbacks=(), epochs: int = 2, steps: int = 5, **settings) -> lightning.Trainer:
    torch.manual_seed(1)
    batches = DataLoader([(torch.rand(8, 3, 8, 8), torch.arange(8) % 2) for _ in range(steps)], batch_size=None)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )
    trainer.fit(model, batches, batches)
    return trainer


def build(learning_rate: float = 0.1, **keys) -> Classifier:
    torch.manual_seed(0)
    config = classifier_config(optimizer=SGD, learning_rate=learning_rate, **keys)
    return Classifier(Small(), config, classes=["a", "b"], objective=Objective(), provenance={})


class Recorder(lightning.Callback):
    """Record the network after each step, the learning rate of each step, and a layer in each validation batch."""

    def __init__(self):
        self.states, self.rates, self.validated = [], [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.states.append({name: value.clone() for name, value in pl_module.network.state_dict().items()})

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        self.validated.append(pl_module.network.layers[0].weight.clone())


# classifier.optimizer


def test_only_weights_decay():
    network = Small()
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = build_optimizer({"_target_": "torch.optim.AdamW", "weight_decay": 0.5}, 0.1, network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in network.named_parameters():
        factor = 1 - 0.1 * 0.5 if name in ("layers.0.weight", "layers.3.weight") else 1.0
        torch.testing.assert_close(parameter.detach(), factor * before[name])


def test_every_parameter_is_trained_at_the_learning_rate(read):
    config = read("classifier.learning_rate=0.02").classifier
    network = CNN(2, image_size=22)
    optimizer = build_optimizer(config.optimizer, config.learning_rate, network.parameters())
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in trained} == {id(parameter) for parameter in network.parameters()}
    assert {group["lr"] for group in optimizer.param_groups} == {0.02}


def test_the_plain_recipe_is_adam_at_a_thousandth(read):
    config = read("classifier=cnn", "experiment=full").classifier
    assert config.optimizer == {"_target_": "torch.optim.Adam", "weight_decay": 0.0, "fused": True}
    assert (config.learning_rate, config.epochs, config.batch_size) == (1e-3, 30, 64)
    assert (config.schedule, config.ema, config.flip_test, config.checkpoint) == (None, None, False, "best")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["++classifier.optimizer.momentm=0.9"], r"classifier\.optimizer\.momentm: unknown key \(keys here: amsgrad, "),
        (
            ["classifier.optimizer._target_=torch.optim.Adm"],
            r"optimizer\._target_=torch\.optim\.Adm: can't be imported",
        ),
        (["classifier.optimizer.weight_decay=-1"], r"classifier\.optimizer=.*Invalid weight_decay value: -1"),
        ([*NO_KEYS, "classifier.optimizer._target_=torch.optim.LBFGS"], r"classifier\.optimizer=.*doesn't support per"),
        (
            ["classifier.optimizer._target_=collections.UserDict"],
            r"classifier\.optimizer=.*_target_ builds a UserDict; give a torch\.optim\.Optimizer",
        ),
        (
            ["classifier.schedule={_target_: torch.optim.lr_scheduler.StepLR}"],
            r"classifier\.schedule: torch\.optim\.lr_scheduler\.StepLR: missing a required argument: 'step_size'",
        ),
        (
            ["classifier.schedule={_target_: torch.optim.lr_scheduler.ReduceLROnPlateau}"],
            r"classifier\.schedule=.*builds a ReduceLROnPlateau; give a schedule .* needs no metric",
        ),
        (["classifier.schedule=step"], r"classifier\.schedule='step': .*'one_cycle', 'cosine' or 'multi_step'"),
        (["classifier.ema=1.0"], r"classifier\.ema=1\.0: .*less than 1"),
        (["classifier.ema=0"], r"classifier\.ema=0: .*greater than 0"),
        (["classifier.flip_test=1"], r"classifier\.flip_test=1: .*boolean"),
    ],
)
def test_a_recipe_that_cant_be_run_is_refused_by_key(read, overrides, message):
    with pytest.raises(ConfigError, match=message):
        read(*overrides)


class WithOptions(torch.optim.SGD):
    """An optimizer with containers as arguments."""

    def __init__(self, params, lr, sizes, options) -> None:
        super().__init__(params, lr)
        self.sizes, self.options = sizes, options


def test_an_optimizer_gets_plain_lists_and_dicts():
    node = {"_target_": f"{__name__}.WithOptions", "sizes": [1, 2], "options": {"steps": [3]}}
    optimizer = build_optimizer(node, 0.1, Small().parameters())
    assert (type(optimizer.sizes), type(optimizer.options), type(optimizer.options["steps"])) == (list, dict, list)
    assert (optimizer.sizes, optimizer.options) == ([1, 2], {"steps": [3]})


def test_adamw_takes_betas_as_a_list():
    node = {"_target_": "torch.optim.AdamW", "betas": [0.8, 0.95]}
    assert [tuple(group["betas"]) for group in build_optimizer(node, 0.1, Small().parameters()).param_groups] == [
        (0.8, 0.95)
    ] * 2
    assert classifier_config(optimizer=node).optimizer == node


# classifier.network


class WithActivation(nn.Module):
    """A network with a module, a class of modules and plain containers as arguments."""

    def __init__(self, num_classes: int, channels: int, image_size: int, activation, norm, widths, options) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), activation, nn.Linear(channels * image_size**2, num_classes))
        self.norm, self.widths, self.options = norm, widths, options

    def forward(self, images):
        return self.layers(images)


NESTED = {
    "_target_": f"{__name__}.WithActivation",
    "activation": {
        "_target_": "torch.nn.Sequential",
        "_args_": [{"_target_": "torch.nn.LeakyReLU", "negative_slope": 0.25}],
    },
    "norm": {"_target_": "torch.nn.BatchNorm2d", "_partial_": True, "eps": 0.5},
    "widths": [4, 8],
    "options": {"depth": 2},
}


def test_arguments_of_a_network_with_a_target_are_built_at_any_depth():
    network = build_network(NESTED, 2, channels=3, image_size=8)
    activation = network.layers[1][0]
    assert isinstance(activation, nn.LeakyReLU)
    assert activation.negative_slope == 0.25
    assert network.norm(6).eps == 0.5
    assert (type(network.widths), type(network.options)) == (list, dict)
    assert classifier_config(network=NESTED).build_network(2, channels=3)(torch.rand(1, 3, 100, 100)).shape == (1, 2)


# classifier.schedule


@pytest.mark.parametrize("settings", [{}, {"limit_train_batches": 3}, {"limit_train_batches": 1}])
@pytest.mark.parametrize(
    "schedule",
    ["one_cycle", "cosine", "multi_step", {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.9}],
)
def test_a_schedule_takes_exactly_the_steps_of_the_training(schedule, settings):
    recorder = Recorder()
    trainer = fit(build(schedule=schedule), [recorder], epochs=4, **settings)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)
    expected = list_rates(schedule, optimizer, trainer.global_step)
    assert recorder.rates == expected
    assert len(expected) == 4 * settings.get("limit_train_batches", 5)


def list_rates(name: str, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    """Return the learning rate of each step, outside any training."""
    schedule = build_schedule(name, optimizer, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def build_sgd() -> torch.optim.Optimizer:
    return build_optimizer(SGD, 0.1, [nn.Parameter(torch.zeros(2, 2))])


def test_cosine_is_half_a_cosine_down_to_zero():
    assert list_rates("cosine", build_sgd(), 8) == pytest.approx(
        [0.05 * (1 + math.cos(math.pi * n / 8)) for n in range(8)]
    )


def test_one_cycle_rises_to_the_learning_rate_and_ends_near_zero():
    rates = list_rates("one_cycle", build_sgd(), 100)
    assert max(rates) == pytest.approx(0.1)
    assert rates.index(max(rates)) == 29
    assert rates[:30] == sorted(rates[:30])
    assert rates[29:] == sorted(rates[29:], reverse=True)
    assert rates[0] == pytest.approx(0.1 / 25)
    assert rates[-1] < 1e-6


def test_multi_step_is_the_schedule_of_cao_et_al():
    rates = np.array(list_rates("multi_step", build_sgd(), 200 * 97)).reshape(200, 97)
    steps = np.arange(1, 5 * 97 + 1).reshape(5, 97)
    np.testing.assert_allclose(rates[:5], 0.1 * steps / (5 * 97))
    np.testing.assert_allclose(rates[5:160], 0.1)
    np.testing.assert_allclose(rates[160:180], 1e-3)
    np.testing.assert_allclose(rates[180:], 1e-5)


def test_one_cycle_leaves_betas_as_they_were_configured():
    node = {"_target_": "torch.optim.Adam", "betas": [0.7, 0.99]}
    optimizer = build_optimizer(node, 0.1, [nn.Parameter(torch.zeros(2, 2))])
    schedule = build_schedule("one_cycle", optimizer, 10)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    assert [tuple(group["betas"]) for group in optimizer.param_groups] == [(0.7, 0.99)]


def test_the_history_has_the_learning_rate():
    plain, cosine = build(), build(schedule="cosine")
    for model in (plain, cosine):
        fit(model)
    assert [row["train/learning_rate"] for row in plain.history] == [0.1, 0.1]
    assert [row["train/learning_rate"] for row in cosine.history] == pytest.approx([0.05, 0.0])


# classifier.ema


def average_by_hand(states, decay):
    """Return the average of the states as a weighted sum: state k has the weight (1 - d_k) d_k+1 d_k+2 ..., d_0 = 0."""
    decays = [0.0] + [min(decay, (1 + n) / (10 + n)) for n in range(1, len(states))]
    shares = [(1 - d) * math.prod(decays[k + 1 :]) for k, d in enumerate(decays)]
    assert sum(shares) == pytest.approx(1.0)
    return {
        name: sum(share * state[name].double() for share, state in zip(shares, states, strict=True)).float()
        for name in states[0]
        if states[0][name].is_floating_point()
    }


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_validation_checkpoints_and_predictions_are_the_averages(tmp_path, decay, weights_only):
    recorder = Recorder()
    every_epoch = ModelCheckpoint(
        tmp_path,
        filename="{epoch}",
        monitor=MONITORED_METRIC,
        mode="max",
        save_top_k=-1,
        save_weights_only=weights_only,
    )
    model = build()
    trainer = fit(model, [WeightAverage(decay), recorder, every_epoch], epochs=3)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    for name, steps in (("epoch=1", 5), ("epoch=2", 10), ("epoch=3", 15), ("last", 15)):
        saved = torch.load(tmp_path / f"{name}.ckpt", weights_only=True)["state_dict"]
        for key, value in average_by_hand(recorder.states[:steps], decay).items():
            torch.testing.assert_close(saved[f"network.{key}"], value, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(recorder.validated[steps - 1], saved["network.layers.0.weight"])
        loader = DataLoader([(torch.rand(8, 3, 8, 8), torch.arange(8) % 2)], batch_size=None)
        [(logits, _)] = trainer.predict(model, loader, ckpt_path=tmp_path / f"{name}.ckpt", weights_only=True)
        network = Small().eval()
        network.load_state_dict({key.removeprefix("network."): value for key, value in saved.items()})
        torch.testing.assert_close(logits, network(loader.dataset[0][0]))


def test_an_average_does_not_change_the_training():
    plain, averaged = Recorder(), Recorder()
    fit(build(), [plain], epochs=3)
    fit(build(), [WeightAverage(0.9), averaged], epochs=3)
    for a, b in zip(plain.states, averaged.states, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_training_without_validation_ends_with_the_average():
    recorder, model = Recorder(), build()
    fit(model, [WeightAverage(0.9), recorder], epochs=2, limit_val_batches=0)
    expected = average_by_hand(recorder.states, 0.9)["layers.0.weight"]
    torch.testing.assert_close(model.network.layers[0].weight.detach(), expected, rtol=1e-4, atol=1e-6)


def test_a_short_training_leaves_little_of_the_first_weights_in_the_average():
    initial_share = math.prod(decay_after(n, 0.999) for n in range(1, 300))
    assert initial_share < 1e-12 < 0.5 < 0.999**299
    assert decay_after(10**6, 0.999) == 0.999


# classifier.flip_test


def test_flip_averaged_predictions_are_the_mean_of_both_probabilities():
    network, images = Small().eval(), torch.rand(4, 3, 8, 8)
    expected = (network(images).softmax(1) + network(images.flip(3)).softmax(1)) / 2
    torch.testing.assert_close(flip_averaged_logits(network, images).softmax(1), expected)


@pytest.mark.parametrize("flip_test", [True, False])
def test_predictions_are_invariant_under_flips_only_with_flip_test(flip_test):
    model = build(flip_test=flip_test).eval()
    images, labels = torch.rand(4, 3, 8, 8), torch.arange(4) % 2
    plain, flipped = (model.predict_step((batch, labels), 0)[0] for batch in (images, images.flip(3)))
    assert torch.equal(plain, flipped) is flip_test


def test_flip_test_does_not_change_training_but_does_change_validation():
    models = [build(flip_test=flip_test) for flip_test in (False, True)]
    plain, flipped = (fit(model) and model.history for model in models)
    assert [row["train/loss"] for row in plain] == [row["train/loss"] for row in flipped]
    assert [row["valid/loss"] for row in plain] != [row["valid/loss"] for row in flipped]


# classifier=resnet18


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize(("classes", "channels", "size"), [(2, 3, 8), (7, 1, 48)])
def test_resnet18_takes_any_classes_channels_and_size(classes, channels, size, small):
    network = ResNet18(classes, channels, size, small_images=small).eval()
    assert network(torch.rand(2, channels, size, size)).shape == (2, classes)


def test_small_images_keep_their_size_at_the_first_layer():
    sides = []
    for small in (False, True):
        network = ResNet18(2, small_images=small).eval()
        network.network.layer1.register_forward_pre_hook(lambda module, inputs: sides.append(inputs[0].shape[-1]))
        network(torch.rand(1, 3, 48, 48))
    assert sides == [12, 48]


@pytest.mark.parametrize(("classes", "same_head"), [(2, False), (5, True)])
def test_all_weights_are_loaded_but_a_head_for_another_number_of_classes(tmp_path, classes, same_head):
    torch.manual_seed(0)
    trained = resnet18(num_classes=5)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    loaded = ResNet18(classes, weights=str(tmp_path / "w.pt")).network.state_dict()
    for name, value in trained.state_dict().items():
        assert torch.equal(loaded[name], value) if not name.startswith("fc.") or same_head else len(loaded[name]) == 2


def test_pixels_are_scaled_as_for_imagenet():
    network = ResNet18(2).eval()
    image = torch.rand(1, 3, 32, 32)
    scaled = normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(network(image), network.network(scaled))


def test_weights_that_fit_pass_the_check_without_memory(read, tmp_path):
    torch.save(resnet18(num_classes=5).state_dict(), tmp_path / "w.pt")
    assert read("classifier=resnet18", f"classifier.network.weights={tmp_path}/w.pt")


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (None, [], "FileNotFoundError"),
        ("text", [], "Error: "),
        ({"a": torch.zeros(1)}, [], "KeyError"),
        (resnet18(num_classes=2).state_dict(), ["data.channels=1"], r"size mismatch for conv1\.weight"),
        (resnet18(num_classes=2).state_dict(), ["classifier.network.small_images=true"], "size mismatch for conv1"),
    ],
)
def test_weights_that_dont_fit_stop_before_any_work(read, tmp_path, content, settings, message):
    path = tmp_path / "w.pt"
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(
        ConfigError, match=rf"(?s)classifier\.network=.*weights=.*w\.pt: .*{message}.*give a state_dict of torchvision"
    ):
        read("classifier=resnet18", f"classifier.network.weights={path}", *settings)


# classifier.freeze


def test_a_frozen_cnn_trains_its_last_layer_and_drops_nothing():
    config = classifier_config(freeze="backbone", image_size=22)
    model = Classifier(config.build_network(2, 3), config, classes=["a", "b"], objective=Objective(), provenance={})
    for mode in (True, False):
        model.train(mode)
        assert {name for name, module in model.network.named_modules() if module.training} <= {"to_logits"}
        assert model.network.to_logits.training == mode
    assert {name for name, p in model.network.named_parameters() if p.requires_grad} == {
        "to_logits.weight",
        "to_logits.bias",
    }


# Every file of conf/classifier/


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF_DIR / "classifier").glob("*.yaml")))
def test_every_classifier_trains_and_writes_its_files(run, name):
    size = ["classifier.network.input_size=32"] if name == "timm" else []
    folder = run("train=cnn", f"classifier={name}", "augment=traditional", "classifier.batch_size=8", *size)
    result = Result.load(folder)
    assert result.optimizer_steps == 2 * 2
    assert result.selected_epoch in ([1, 2] if name == "cnn" else [2])  # checkpoint: last
    events = EventAccumulator(str(folder))
    events.Reload()
    assert len(events.Scalars("train/learning_rate")) == 2
    for file in ("best", "last"):
        torch.load(folder / "checkpoints" / f"{file}.ckpt", weights_only=True)
    predictions = np.load(folder / "predictions.npz")
    assert np.isfinite(predictions["test_logits"]).all()
    assert predictions["test_logits"].shape == (24, 2)


def test_quick_shortens_the_recipe(read):
    config = read("experiment=quick", "classifier=cnn_recipe").classifier
    assert (config.epochs, config.batch_size, config.checkpoint) == (12, 32, "last")
    assert config.optimizer == {"_target_": "torch.optim.AdamW", "weight_decay": 0.05, "fused": True}
    assert read("experiment=full", "classifier=cnn_recipe").classifier.epochs == 100

"""The classifier: Table 3, its golden number, its training."""

import lightning
import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader

from fer_experiments.augment.mixing import Mixing
from fer_experiments.balance.objective import Objective
from fer_experiments.classifier.cosine import CosineLinear, attach_cosine_head
from fer_experiments.classifier.module import Classifier
from fer_experiments.classifier.networks import CNN, CIFARResNet
from fer_experiments.classifier.step import classification_step
from fer_experiments.errors import ConfigError
from tests.conftest import classifier_config

ADAM = {"_target_": "torch.optim.Adam", "fused": True}


def test_cnn_has_the_golden_number_of_parameters():
    assert sum(parameter.numel() for parameter in CNN(2).parameters()) == 6_585_314


def test_cnn_layers_are_table_3():
    shapes = []
    network = CNN(2).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.Flatten | nn.Linear):
            layer.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape[1:])))
    network(torch.zeros(1, 3, 100, 100))
    sides = [(32, 98, 98), (32, 49, 49), (32, 47, 47), (32, 23, 23), (64, 21, 21), (64, 10, 10)]
    assert shapes == [*sides, (6400,), (1024,), (2,)]


def test_pooling_before_relu_gives_the_same_values():
    network = CNN(2).eval()
    images = torch.rand(2, 3, 100, 100)
    relu_first = images
    for layer in network.features:
        if isinstance(layer, nn.Conv2d):
            relu_first = nn.functional.max_pool2d(torch.relu(layer(relu_first)), 2)
    torch.testing.assert_close(network.features(images), relu_first.flatten(1))


@pytest.mark.parametrize(
    ("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_networks_for_cifar_have_the_golden_numbers_of_parameters(depth, parameters):
    """He et al. 2016, Table 6, in millions: 0.27, 0.46, 0.66, 0.85, 1.7."""
    network = CIFARResNet(10, depth=depth)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    weighted = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(weighted) == depth


def test_a_shortcut_passes_every_other_pixel_between_channels_of_zeros():
    network = CIFARResNet(10).eval()
    block = network.blocks[5]
    nn.init.zeros_(block.layers[-1].weight)
    nn.init.zeros_(block.layers[-1].bias)
    features = torch.rand(2, 16, 8, 8)
    out = block(features)
    assert out.shape == (2, 32, 4, 4)
    assert torch.equal(out[:, 8:24], features[..., ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


@pytest.mark.parametrize("depth", [2, 18, 33])
def test_a_depth_that_no_network_for_cifar_has_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth={depth}: must be 8, 14, 20, 26, 32 or another 6 n"):
        CIFARResNet(10, depth=depth)


def test_hidden_weights_have_the_deviation_of_he_et_al():
    torch.manual_seed(0)
    network = CNN(2)
    layers = [layer for layer in [*network.features, *network.hidden] if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        inputs = layer.weight[0].numel()
        assert layer.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.1)
        assert not layer.bias.any()


@pytest.mark.parametrize(("classes", "channels", "size"), [(2, 1, 100), (7, 3, 48), (100, 3, 22), (3, 1, 128)])
def test_cnn_takes_any_classes_channels_and_size(classes, channels, size):
    assert CNN(classes, channels, size)(torch.rand(2, channels, size, size)).shape == (2, classes)


def test_cnn_refuses_images_of_which_the_poolings_leave_nothing():
    with pytest.raises(ValueError, match=r"image_size=21: .*need 22 pixels or more"):
        CNN(2, image_size=21)


def fit(model: Classifier, batches, epochs: int) -> lightning.Trainer:
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loader = DataLoader(batches, batch_size=None)
    trainer.fit(model, loader, loader)
    return trainer


def build(objective: Objective | None = None, mixing: Mixing | None = None) -> Classifier:
    torch.manual_seed(0)
    network = CNN(2, channels=1, image_size=22)
    return Classifier(
        network,
        classifier_config(optimizer=ADAM, learning_rate=1e-3),
        classes=["dark", "light"],
        objective=objective or Objective(),
        mixing=mixing,
        provenance={},
    )


def dark_and_light() -> list[tuple[torch.Tensor, torch.Tensor]]:
    labels = torch.arange(16) % 2
    return [(labels[:, None, None, None] * 0.5 + torch.rand(16, 1, 22, 22) * 0.4, labels)]


def test_classifier_learns_dark_from_light():
    torch.manual_seed(1)
    model = build()
    fit(model, dark_and_light(), epochs=30)
    assert model.history[-1]["valid/accuracy"] == 1.0
    assert model.history[-1]["train/loss"] < model.history[0]["train/loss"]


def test_history_has_the_four_curves_of_figures_7_and_8():
    model = build()
    fit(model, dark_and_light(), epochs=3)
    assert [row["epoch"] for row in model.history] == [1, 2, 3]
    assert {"train/loss", "train/accuracy", "valid/loss", "valid/accuracy"} <= set(model.history[0])


def test_a_step_returns_the_plain_loss_and_minimizes_the_weighted_one():
    torch.manual_seed(0)
    network = CNN(2, channels=1, image_size=22, dropout=0.0)
    images, labels = dark_and_light()[0]
    weights = torch.tensor([1.0, 9.0])
    logits = network(images)
    losses = -logits.log_softmax(1)[range(16), labels]
    weighted = (weights[labels] * losses).sum() / weights[labels].sum()
    gradients = torch.autograd.grad(weighted, list(network.parameters()))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer = SGD(network.parameters(), 1.0)
    scalars = classification_step(network, optimizer, images, labels, objective=Objective(weights=weights))
    assert set(scalars) == {"train/loss", "train/accuracy"}
    assert scalars["train/loss"].item() == pytest.approx(losses.mean().item(), rel=1e-5)
    assert scalars["train/accuracy"].item() == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    for parameter, old, gradient in zip(network.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), old - gradient)


class FixedMixing(Mixing):
    """Return fixed mixed images, partners' labels and shares; image i is mixed with image B - 1 - i."""

    def __init__(self, *mixed: torch.Tensor) -> None:
        super().__init__(1.0)
        self.mixed = mixed

    def forward(self, images, labels):
        return self.mixed

    @staticmethod
    def take_partners(values):
        return values.flip(0)


@pytest.mark.parametrize("image_weights", [None, torch.linspace(0.5, 2.0, 16)], ids=["equal", "weighted"])
def test_a_step_on_mixed_images_minimizes_the_mean_over_both_labels(image_weights):
    torch.manual_seed(0)
    network = CNN(2, channels=1, image_size=22, dropout=0.0)
    images, labels = dark_and_light()[0]
    weights = torch.tensor([1.0, 9.0])
    factors = torch.ones(16) if image_weights is None else image_weights
    share = torch.linspace(0.05, 0.95, 16)
    mixed, partners = images.flip(0), 1 - labels
    logits = network(mixed)
    log_p = logits.log_softmax(1)
    first = share * factors * weights[labels]
    second = (1 - share) * factors.flip(0) * weights[partners]
    losses = first * log_p[range(16), labels], second * log_p[range(16), partners]
    total = -sum(loss.sum() for loss in losses) / (first.sum() + second.sum())
    gradients = torch.autograd.grad(total, list(network.parameters()))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer = SGD(network.parameters(), 1.0)
    scalars = classification_step(
        network,
        optimizer,
        images,
        labels,
        objective=Objective(weights=weights),
        mixing=FixedMixing(mixed, partners, share),
        weights=image_weights,
    )
    plain = -(share * log_p[range(16), labels] + (1 - share) * log_p[range(16), partners]).mean()
    assert scalars["train/loss"].item() == pytest.approx(plain.item(), rel=1e-5)
    for parameter, old, gradient in zip(network.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), old - gradient)


def test_an_image_of_weight_zero_counts_as_if_it_were_absent():
    networks = []
    images, labels = dark_and_light()[0]
    for indices, weights in ((range(16), torch.tensor([1.0] * 8 + [0.0] * 8)), (range(8), None)):
        torch.manual_seed(0)
        network = CNN(2, channels=1, image_size=22, dropout=0.0)
        batch = images[list(indices)], labels[list(indices)]
        classification_step(network, SGD(network.parameters(), 1.0), *batch, objective=Objective(), weights=weights)
        networks.append(network)
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_mixing_and_post_hoc_adjustment_reach_the_module():
    plain, mixed, shifted = build(), build(mixing=Mixing(1.0)), build(Objective(shift=torch.tensor([50.0, 0.0])))
    for model in (plain, mixed, shifted):
        torch.manual_seed(2)
        fit(model, dark_and_light(), epochs=1)
    assert mixed.history[0]["train/loss"] != pytest.approx(plain.history[0]["train/loss"])
    assert shifted.history[0]["train/loss"] == pytest.approx(plain.history[0]["train/loss"])
    assert shifted.predict_step(dark_and_light()[0], 0)[0].argmax(1).tolist() == [0] * 16


def test_deferred_weights_apply_from_their_epoch_on():
    weights = torch.tensor([1.0, 9.0])
    deferred, plain = build(Objective(weights=weights, reweight_after=0.5)), build()
    for model in (deferred, plain):
        torch.manual_seed(2)
        fit(model, dark_and_light(), epochs=4)
    is_same = [a["valid/loss"] == b["valid/loss"] for a, b in zip(deferred.history, plain.history, strict=True)]
    assert is_same == [True, True, False, False]


def test_a_cosine_head_takes_the_place_of_the_last_layer():
    network = attach_cosine_head(CNN(2, channels=1, image_size=22), 2, scale=30.0)
    assert isinstance(network.to_logits, CosineLinear)
    assert isinstance(network.hidden[0], nn.Linear)  # not the last
    logits = network(torch.rand(5, 1, 22, 22))
    assert logits.shape == (5, 2)
    assert logits.abs().max() <= 30.0 + 1e-4
    features = torch.randn(4, 1024)
    torch.testing.assert_close(network.to_logits(features), network.to_logits(7 * features))


def test_a_network_without_a_last_linear_layer_is_refused():
    with pytest.raises(ConfigError, match=r"classifier\.network=Sequential: has no nn\.Linear with 2 outputs"):
        attach_cosine_head(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), 2, 30.0)


def test_the_class_weights_of_the_module_reach_its_step():
    models = build(), build(Objective(weights=torch.tensor([1.0, 9.0])))
    for model in models:
        torch.manual_seed(2)  # the same dropout
        fit(model, dark_and_light(), epochs=1)
    plain, weighted = models
    assert weighted.history[0]["train/loss"] == pytest.approx(plain.history[0]["train/loss"])
    assert weighted.history[0]["valid/loss"] != pytest.approx(plain.history[0]["valid/loss"])


def test_global_step_counts_batches():
    assert fit(build(), dark_and_light() * 3, epochs=2).global_step == 6

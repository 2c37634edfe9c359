"""How well a small network tells generated training images from real ones of the same class.

What this network learns, the classifier can learn as well; and if one class alone has generated images, then
"generated" means that class.
"""

from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from fer_experiments.random_streams import RandomStream

MIN_IMAGES, MAX_IMAGES = 16, 160  # of each kind
MIN_SIDE = 22  # pixels, of which three convolutions and poolings leave one
FOLDS, EPOCHS, BATCH_SIZE = 2, 20, 16
NORMAL_95 = 1.959964  # half the width of a 95% interval, in standard errors


@dataclass(frozen=True)
class ShortcutProbe:
    """How well the kinds of images can be told apart.

    auroc: in [0, 1], 0.5 if not at all; low, high: its 95% interval; images: how many of each kind were used.
    """

    auroc: float
    low: float
    high: float
    images: int


def shortcut_probe(real: Tensor, generated: Tensor, seed: int, device: str = "cpu") -> ShortcutProbe:
    """Measure the AUROC of "is generated" for real (N, C, S, S) and generated (M, C, S, S) uint8 images.

    The images are those that the classifier sees. Equally many of each kind are used, at most MAX_IMAGES, drawn with
    the seed. The probe is cross-validated: every image is scored by a network that was not trained on it, and the AUROC
    is the mean over the folds (scores of different networks can't be compared). Leaves the global random state as it
    was. device: where the networks are trained.

    Raises ValueError for fewer than MIN_IMAGES of a kind, or a side under MIN_SIDE pixels.
    """
    count = min(len(real), len(generated), MAX_IMAGES)
    if count < MIN_IMAGES:
        raise ValueError(f"{len(real)} real and {len(generated)} generated images; {MIN_IMAGES} of each are needed")
    if real.shape[-1] < MIN_SIDE:
        raise ValueError(f"images of {real.shape[-1]} pixels; {MIN_SIDE} are needed")
    rng = np.random.default_rng([seed, RandomStream.SHORTCUT_PROBE])
    drawn = [kind[torch.from_numpy(np.sort(rng.permutation(len(kind))[:count]))] for kind in (real, generated)]
    images = torch.cat(drawn).float().div(255).contiguous(memory_format=torch.channels_last)
    images, labels = images.to(device), torch.arange(2).repeat_interleave(count)
    aurocs = []
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    with isolate_rng():
        for fold, (train, test) in enumerate(folds):
            torch.manual_seed(seed * FOLDS + fold)
            scores = _train_and_score(images[train], labels[train].to(device), images[test])
            aurocs.append(roc_auc_score(labels[test], scores))
    auroc = float(np.mean(aurocs))
    return ShortcutProbe(auroc, *auroc_interval(auroc, count, count), count)


def auroc_interval(auroc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return the 95% score interval of the AUROC of independent images (Newcombe 2006, method 5).

    It has a width at 0 and 1 as well. It does not cover how much another training of the networks would differ.
    """
    theta = np.linspace(0.0, 1.0, 10_001)
    mean = (positives + negatives) / 2 - 1
    terms = 1 + mean * (1 - theta) / (2 - theta) + mean * theta / (1 + theta)
    variance = theta * (1 - theta) * terms / (positives * negatives)
    inside = theta[np.abs(auroc - theta) <= NORMAL_95 * np.sqrt(variance) + 1e-9]
    return float(min(inside.min(), auroc)), float(max(inside.max(), auroc))


def _build_network(channels: int) -> nn.Sequential:
    """images (B, channels, S, S) -> logits (B,). It averages over all places, because shortcuts are textures."""
    blocks: list[nn.Module] = []
    for inputs, outputs in ((channels, 8), (8, 16), (16, 32)):
        blocks += [nn.Conv2d(inputs, outputs, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(outputs), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1), nn.Flatten(0)]
    return nn.Sequential(*blocks, *head).to(memory_format=torch.channels_last)


def _train_and_score(images: Tensor, labels: Tensor, test_images: Tensor) -> np.ndarray:
    """Train a network on images (N, C, S, S) and labels (N,); return its logits (M,) for the test images."""
    network = _build_network(images.shape[1]).to(images.device)
    optimizer = Adam(network.parameters(), 3e-3, fused=True)
    for _ in range(EPOCHS):
        for places in torch.randperm(len(images)).split(BATCH_SIZE):
            if len(places) == 1:  # of which BatchNorm has no variance where small images have become one pixel
                continue
            loss = F.binary_cross_entropy_with_logits(network(images[places]), labels[places].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        return network(test_images).cpu().numpy()

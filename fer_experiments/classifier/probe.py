"""How well a small network tells generated training images from real ones of the same class.

What it finds the classifier can find too, and where one class alone has generated images, "generated" means that class.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

LEAST, MOST = 16, 160  # images of each kind
SMALLEST = 22  # pixels, of which three convolutions and poolings leave one
FOLDS, EPOCHS, BATCH = 2, 20, 16
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Probe:
    """auroc in [0, 1], 0.5 where the kinds can't be told apart, with its 95 % interval; images of each kind."""

    auroc: float
    low: float
    high: float
    images: int


@dataclass(frozen=True)
class NotMeasured:
    """Why there is no number."""

    reason: str


def shortcut_probe(real: Tensor, generated: Tensor, seed: int) -> Probe | NotMeasured:
    """real (N, C, S, S) and generated (M, C, S, S) uint8, as the classifier sees them -> AUROC of "is generated".

    Equally many of each (at most MOST, drawn by seed), cross-validated: every score is of an image that its network was
    not trained on, and the AUROC is the folds' mean (scores of different networks don't compare). Leaves the global
    random state as it was.
    """
    count = min(len(real), len(generated), MOST)
    if count < LEAST:
        return NotMeasured(f"{len(real)} real and {len(generated)} generated images; {LEAST} of each are needed")
    if real.shape[-1] < SMALLEST:
        return NotMeasured(f"images of {real.shape[-1]} pixels; {SMALLEST} are needed")
    rng = np.random.default_rng([seed, 6])
    chosen = [kind[torch.from_numpy(np.sort(rng.permutation(len(kind))[:count]))] for kind in (real, generated)]
    images = torch.cat(chosen).float().div(255).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(2).repeat_interleave(count)
    found = []
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    with torch.random.fork_rng(devices=[]):
        for fold, (train, test) in enumerate(folds):
            torch.manual_seed(seed * FOLDS + fold)
            scores = _scores(images[train], labels[train], images[test])
            found.append(roc_auc_score(labels[test], scores))
    auroc = float(np.mean(found))
    return Probe(auroc, *auroc_interval(auroc, count, count), count)


def auroc_interval(auroc: float, positives: int, negatives: int) -> tuple[float, float]:
    """95 % score interval of an AUROC of independent images (Newcombe 2006, method 5), sensible at 0 and 1 too.

    It does not know how much another training of the networks would differ.
    """
    theta = np.linspace(0.0, 1.0, 10_001)
    mean = (positives + negatives) / 2 - 1
    terms = 1 + mean * (1 - theta) / (2 - theta) + mean * theta / (1 + theta)
    variance = theta * (1 - theta) * terms / (positives * negatives)
    inside = theta[np.abs(auroc - theta) <= NORMAL_95 * np.sqrt(variance) + 1e-9]
    return float(min(inside.min(), auroc)), float(max(inside.max(), auroc))


def _network(channels: int) -> nn.Sequential:
    """images (B, channels, S, S) -> logits (B,). A mean over all places: shortcuts are textures."""
    blocks: list[nn.Module] = []
    for inputs, outputs in ((channels, 8), (8, 16), (16, 32)):
        blocks += [nn.Conv2d(inputs, outputs, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(outputs), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1), nn.Flatten(0)]
    return nn.Sequential(*blocks, *head).to(memory_format=torch.channels_last)


def _scores(images: Tensor, labels: Tensor, unseen: Tensor) -> np.ndarray:
    """Train a network on images (N, C, S, S) and labels (N,); its logits (M,) for the unseen ones."""
    network = _network(images.shape[1])
    optimizer = Adam(network.parameters(), 3e-3, fused=True)
    for _ in range(EPOCHS):
        for places in torch.randperm(len(images)).split(BATCH):
            loss = F.binary_cross_entropy_with_logits(network(images[places]), labels[places].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        return network(unseen).numpy()

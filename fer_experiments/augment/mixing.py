"""Mixup and Remix: images of a batch are mixed in pairs."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Beta


class Mixing(nn.Module):
    """Mixup of each image with its partner, the image before it; share ~ Beta(alpha, alpha) (Zhang et al. 2018).

    With the class counts (K,) it is Remix (Chou et al. 2020, equation 4): if one class of a pair has at least kappa
    times as many training images as the other, and its image has a share below tau, the whole label goes to
    the other class.
    """

    alpha: Tensor
    counts: Tensor | None

    def __init__(
        self, alpha: float, counts: np.ndarray | Tensor | None = None, kappa: float = 1.0, tau: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.tensor(alpha), persistent=False)
        counts = None if counts is None else torch.as_tensor(counts, dtype=torch.float32)
        self.register_buffer("counts", counts, persistent=False)
        self.kappa, self.tau = kappa, tau

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """images (B, C, H, W), labels (B,) int64 -> mixed images, the partners' labels (B,), the labels' share (B,)."""
        share = Beta(self.alpha, self.alpha, validate_args=False).sample((len(images),))  # no wait for the device
        partner_labels = self.take_partners(labels)
        mixed = torch.lerp(self.take_partners(images), images, share[:, None, None, None].to(images.dtype))
        return mixed, partner_labels, self._compute_label_share(share, labels, partner_labels)

    @staticmethod
    def take_partners(values: Tensor) -> Tensor:
        """values (B, ...) of the images -> the values of their partners, in the images' order."""
        return values.roll(1, 0)  # batches are in random order

    def _compute_label_share(self, share: Tensor, labels: Tensor, partner_labels: Tensor) -> Tensor:
        if self.counts is None:
            return share
        ratio = self.counts[labels] / self.counts[partner_labels]
        share = share.masked_fill((ratio >= self.kappa) & (share < self.tau), 0.0)
        return share.masked_fill((ratio <= 1 / self.kappa) & (1 - share < self.tau), 1.0)

"""Pairs of images of a batch, mixed."""

import torch
from torch import Tensor, nn
from torch.distributions import Beta


class Mixing(nn.Module):
    """Each image of a batch is mixed with the one before it, share ~ Beta(alpha, alpha) (Zhang et al. 2018).

    With counts (K,) of the classes it is Remix (Chou et al. 2020, equation 4): a label goes wholly to the class of the
    pair that the other outnumbers kappa times or more, where that other one's share is less than tau.
    """

    alpha: Tensor
    counts: Tensor | None

    def __init__(self, alpha: float, counts: Tensor | None = None, kappa: float = 1.0, tau: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.tensor(alpha), persistent=False)
        self.register_buffer("counts", counts, persistent=False)
        self.kappa, self.tau = kappa, tau

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """images (B, C, H, W), labels (B,) int64 -> mixed images, the partners' labels (B,), the labels' share (B,)."""
        share = Beta(self.alpha, self.alpha, validate_args=False).sample((len(images),))  # no wait for the device
        partners = self.of_partners(labels)
        mixed = torch.lerp(self.of_partners(images), images, share[:, None, None, None].to(images.dtype))
        return mixed, partners, self._of_labels(share, labels, partners)

    @staticmethod
    def of_partners(values: Tensor) -> Tensor:
        """values (B, ...) of the images -> those of the images that they are mixed with."""
        return values.roll(1, 0)  # batches are in random order

    def _of_labels(self, share: Tensor, labels: Tensor, partners: Tensor) -> Tensor:
        if self.counts is None:
            return share
        ratio = self.counts[labels] / self.counts[partners]
        share = share.masked_fill((ratio >= self.kappa) & (share < self.tau), 0.0)
        return share.masked_fill((ratio <= 1 / self.kappa) & (1 - share < self.tau), 1.0)

"""What every option of conf/encoder/ can do; torch is imported only when a network is built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from fer_experiments.strict_config import StrictConfig

if TYPE_CHECKING:
    from torch import Tensor


class FeatureExtractor(Protocol):
    """A network that maps images (N, C, S, S) uint8, S being image_size, to features (N, D)."""

    @property
    def image_size(self) -> int: ...

    def features(self, images: Tensor) -> Tensor: ...


class Encoder(StrictConfig, ABC):
    """The choice of a network for KID, FID, FLD, precision, recall, density, coverage, Vendi score and diversity."""

    @abstractmethod
    def describe(self) -> str:
        """Return which network it is, with a hash of its weights file, so that no other has the same description."""

    @abstractmethod
    def build(self, image_size: int, device: str) -> FeatureExtractor | None:
        """Load the network on a device, for images of a side of image_size pixels; None: the reference classifier.

        Raises ConfigError if a package is missing, or the weights file does not hold this network.
        """

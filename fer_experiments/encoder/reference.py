"""encoder=reference: the features of the reference classifier, the input of its last layer."""

from fer_experiments.encoder.base import Encoder


class Reference(Encoder):
    """The reference classifier, which whoever has trained it uses by itself."""

    def describe(self) -> str:
        return "the reference classifier"

    def build(self, image_size: int, device: str) -> None:
        return None

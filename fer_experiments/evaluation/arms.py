"""The names of arms: BALANCE or BALANCE+AUGMENT, then what sets runs of one name apart, then @leak."""

from dataclasses import dataclass, replace

LEAK = "@leak"  # GAN and choice of epoch saw the test images, on purpose


@dataclass(frozen=True)
class ArmName:
    """dcgan+traditional [gan.epochs=100]@leak. augment: "" where it is not said, which is none or the run's own."""

    balance: str
    augment: str = ""
    settings: str = ""
    leak: bool = False

    @classmethod
    def parse(cls, name: str) -> "ArmName":
        """Any text is a name; what it lacks is empty."""
        honest = name.removesuffix(LEAK)
        plain, _, settings = honest.partition(" [")
        balance, _, augment = plain.partition("+")
        return cls(balance, augment, settings.removesuffix("]"), leak=honest != name)

    def __str__(self) -> str:
        augment = "" if self.augment in ("", "none") else f"+{self.augment}"
        settings = f" [{self.settings}]" if self.settings else ""
        return f"{self.balance}{augment}{settings}{LEAK if self.leak else ''}"

    def leaking(self) -> "ArmName":
        return replace(self, leak=True)

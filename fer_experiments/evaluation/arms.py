"""The names of arms: BALANCE or BALANCE+AUGMENT, then what sets runs of one name apart, then @leak."""

import re
from dataclasses import dataclass, replace

from fer_experiments.identity import UNSAFE

LEAK = "@leak"  # GAN and choice of epoch saw the test images, on purpose
BETWEEN_SETTINGS = re.compile(r",\s*(?=[\w./]+=)")  # a value may hold commas: {angry: 5, happy: 9}


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

    @property
    def values(self) -> dict[str, str]:
        """{key: value as it is written} of the settings; what has no = is a key with the value ""."""
        pairs = (text.partition("=") for text in BETWEEN_SETTINGS.split(self.settings) if text)
        return {key.strip(): value.strip() for key, _, value in pairs}

    @property
    def data(self) -> str:
        """The settings that change the data: "data.imbalance=10"."""
        return ", ".join(f"{key}={value}" for key, value in self.values.items() if key.split(".")[0] == "data")

    @property
    def folder(self) -> str:
        """A name for the arm's folder on any system: dcgan+traditional_balance.add=200."""
        return UNSAFE.sub("_", str(self)).strip("_")

    def leaking(self) -> "ArmName":
        return replace(self, leak=True)

    def without(self, keys: set[str]) -> "ArmName":
        """The same but for some of its settings."""
        left = [f"{key}={value}" for key, value in self.values.items() if key not in keys]
        return replace(self, settings=", ".join(left))

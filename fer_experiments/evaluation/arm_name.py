"""The names of arms: BALANCE or BALANCE+AUGMENT, then the settings that set arms of one name apart, then @leak."""

import re
from dataclasses import dataclass, replace

from fer_experiments.run_naming import UNSAFE_CHARACTERS

LEAK_SUFFIX = "@leak"  # the GAN and the choice of the epoch saw the test images, on purpose
BETWEEN_SETTINGS = re.compile(r",\s*(?=[\w./]+=)")  # a value may hold commas: {angry: 5, happy: 9}


@dataclass(frozen=True)
class ArmName:
    """A name in its parts: dcgan+traditional [gan.epochs=100]@leak.

    Attributes:
        augment: "" if the name has none, which means no augmentation or the run's.
        settings: keys with values, separated by commas, as they are written.
    """

    balance: str
    augment: str = ""
    settings: str = ""
    leak: bool = False

    @classmethod
    def parse(cls, name: str) -> "ArmName":
        """Return the parts of a name. Any text is a name; parts that it lacks are empty."""
        without_leak = name.removesuffix(LEAK_SUFFIX)
        without_settings, _, settings = without_leak.partition(" [")
        balance, _, augment = without_settings.partition("+")
        return cls(balance, augment, settings.removesuffix("]"), leak=without_leak != name)

    def __str__(self) -> str:
        augment = "" if self.augment in ("", "none") else f"+{self.augment}"
        settings = f" [{self.settings}]" if self.settings else ""
        return f"{self.balance}{augment}{settings}{LEAK_SUFFIX if self.leak else ''}"

    @property
    def values(self) -> dict[str, str]:
        """{key: value as it is written} of the settings; a part without = is a key with the value ""."""
        pairs = (text.partition("=") for text in BETWEEN_SETTINGS.split(self.settings) if text)
        return {key.strip(): value.strip() for key, _, value in pairs}

    @property
    def without_settings(self) -> str:
        """The name without its settings: dcgan+traditional@leak."""
        return str(replace(self, settings=""))

    @property
    def data(self) -> str:
        """The settings that change the data: "data.imbalance=10"."""
        return ", ".join(f"{key}={value}" for key, value in self.values.items() if key.split(".")[0] == "data")

    @property
    def with_name(self) -> "ArmName":
        """The name with balance.name in the place of the strategy, and without the folder that it stands for."""
        title = self.values.get("balance.name", "null").strip("'\"")
        if title == "null":
            return self
        return replace(self.without({"balance.name", "balance.synthetic"}), balance=title)

    @property
    def folder(self) -> str:
        """The name of the arm's folder, valid on any system: dcgan+traditional_balance.add=200."""
        return UNSAFE_CHARACTERS.sub("_", str(self)).strip("_")

    def with_leak(self) -> "ArmName":
        """Return the name of the same arm under the leak."""
        return replace(self, leak=True)

    def without(self, keys: set[str]) -> "ArmName":
        """Return the name without the settings of these keys."""
        settings = [f"{key}={value}" for key, value in self.values.items() if key not in keys]
        return replace(self, settings=", ".join(settings))

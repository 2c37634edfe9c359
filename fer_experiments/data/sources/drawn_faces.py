"""data=faces: faces that the program draws."""

import hashlib
import inspect
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from PIL import Image
from pydantic import Field

from fer_experiments.data.faces import draw, parameters
from fer_experiments.data.faces.draw import draw_face
from fer_experiments.data.faces.parameters import EXPRESSIONS
from fer_experiments.data.sources.base import DataSource
from fer_experiments.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


class DrawnFaces(DataSource):
    """Drawn faces with seven expressions, in the parts train and test.

    A face depends on faces_seed and its class, part and number alone.
    """

    faces_seed: Annotated[int, Field(ge=0)]
    train_per_class: Annotated[int, Field(ge=1, le=100_000)]
    test_per_class: Annotated[int, Field(ge=1, le=100_000)]
    image_size: Annotated[int, Field(ge=16, le=256)]

    def items(self) -> "pd.DataFrame":
        import pandas as pd

        # Only the classes that are needed are drawn, and those of data.rename, whose names are checked by the items.
        available = {self.class_of(name) for name in EXPRESSIONS}
        classes = self.classes or sorted(self.counts or available)
        unknown = sorted(set(classes) - available)
        if unknown:
            key = "classes" if self.classes else "counts"
            raise ConfigError(f"data.{key}: no class {', '.join(unknown)}; the data has {', '.join(sorted(available))}")
        rows = [
            (f"{part}/{label}/{number:05d}", label, part)
            for part, count in (("train", self.train_per_class), ("test", self.test_per_class))
            for label in EXPRESSIONS
            if self.class_of(label) in classes or label in (self.rename or ())
            for number in range(count)
        ]
        return pd.DataFrame(rows, columns=["path", "label", "part"])

    def open(self, path: str) -> Image.Image:
        part, label, number = path.split("/")
        return Image.fromarray(
            draw_face(label, seed=self.faces_seed, part=part, index=int(number), size=self.image_size)
        )

    def state(self, items: "pd.DataFrame") -> list[str]:
        return [f"{self.faces_seed} {self._drawing_code}"] * len(items)

    @cached_property
    def _drawing_code(self) -> str:
        """A digest of the code that draws, so that faces are drawn again when it changes."""
        code = inspect.getsource(draw) + inspect.getsource(parameters)
        return hashlib.sha256(code.encode()).hexdigest()

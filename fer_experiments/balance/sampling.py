"""The meaning of sampling_strategy, as imbalanced-learn has it."""

from collections import Counter
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fer_experiments.errors import ConfigError

SamplingStrategy = (
    Literal["auto", "minority", "not minority", "not majority", "all"]
    | Annotated[float, Field(gt=0.0, le=1.0)]
    | dict[str, int]
)


def images_to_add(strategy: SamplingStrategy, labels: np.ndarray) -> dict[str, int]:
    """{class: images to add}, classes that need none left out; labels (N,) are class names.

    900 and 820 images: auto adds 80 to the second, the ratio 0.95 adds 35, {second: 900} adds 80. Raises ConfigError
    with imbalanced-learn's words: unknown class, a total below what there is, a ratio with more than two classes.
    """
    from imblearn.utils import check_sampling_strategy  # over a second, which arms that add nothing don't need

    counts = Counter(labels.tolist())
    try:
        if isinstance(strategy, float) and len(counts) == 2:
            # imbalanced-learn truncates the wanted total (0.95 * 900 may be 854.99...); rounded here.
            (_, majority), (minority, present) = counts.most_common()
            total = round(strategy * majority)
            if total < present:
                raise ValueError(f"the ratio is {present / majority:.3f} already; a smaller one would remove images")
            strategy = {minority: total}
        found = check_sampling_strategy(strategy, labels, "over-sampling")
    except ValueError as error:
        raise ConfigError(f"balance.sampling_strategy={strategy}: {error}") from None
    return {str(name): int(number) for name, number in found.items() if number > 0}

"""The faults of generated images for which balance.reject can drop one; audit/image_scores.py measures them."""

from typing import Literal, get_args

Fault = Literal["memorised", "off_class", "low_quality"]
FAULTS: tuple[str, ...] = get_args(Fault)

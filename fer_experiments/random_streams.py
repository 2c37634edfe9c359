"""The independent streams of random numbers that are derived from one seed."""

from enum import IntEnum


class RandomStream(IntEnum):
    """What numbers are drawn for. A generator is seeded with [seed, stream], so that no stream shifts another."""

    TEST_SPLIT = 1
    TRAINING_SPLIT = 2
    TEST_SUBSET = 3
    REAL_BATCHES = 4
    RESAMPLING = 5
    SHORTCUT_PROBE = 6
    GENERATED_BATCHES = 7
    ORDER_IN_BATCH = 8
    RANK = 9
    UNUSED_IMAGES = 10
    EXTERNAL_IMAGES = 11

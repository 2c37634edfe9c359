"""When a study that grows by seeds is looked at (evaluation/sequential.py)."""

LOOKS = (3, 5, 8, 12, 20, 32, 50, 80, 125, 200)  # numbers of seeds; each about 1.6 times the one before


def plan_looks(max_seeds: int | None) -> tuple[int, ...]:
    """Return the numbers of seeds at which a study is looked at, of which the last is max_seeds, or that of LOOKS."""
    last = max_seeds or LOOKS[-1]
    return (*(number for number in LOOKS if number < last), last)

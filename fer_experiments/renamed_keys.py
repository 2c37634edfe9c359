"""Configuration keys that had another name in version 0.1.0, so that an error can say the present one."""

GROUPS = {"judge": "reference_classifier"}
KEYS = {
    "balance": {"defer": "reweight_after", "share": "generated_fraction"},
    "classifier": {"mirror_test": "flip_test", "select": "checkpoint"},
    "data": {"grey": "grayscale"},
    "gan": {"mirror": "random_flip", "select": "checkpoint"},
    "joint": {"share": "generated_fraction", "shared": "share_trunk"},
}
KEYS["reference_classifier"] = KEYS["classifier"]
MOVED = {"gan.inception": "encoder.weights, with encoder=inception"}


def present_name(key: str) -> str | None:
    """Return the present name of a former key: "data.grayscale" for "data.grey"; None if the key was not renamed."""
    if key in MOVED:
        return MOVED[key]
    group, *rest = key.split(".")
    present = [GROUPS.get(group, group), *rest]
    if rest:
        present[1] = KEYS.get(present[0], {}).get(rest[0], rest[0])
    name = ".".join(present)
    return None if name == key else name

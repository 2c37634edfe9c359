"""The page shows the samples, the curves, the alarms and the measures of the GANs."""

import json

import pytest

from fer_experiments.report.gan_files import read_alarms
from fer_experiments.report.sections.gans import HELD_OUT, MAX_GRIDS, load_gans
from tests.results import build_study, write_gan

AUDIT = {"label": "angry", "generated": 5, "synthetic": "images"}


def test_grids_are_those_of_the_first_seed_in_order_of_epochs(tmp_path):
    write_gan(tmp_path / "seed_7" / "gan", [10000, 1, 25])
    write_gan(tmp_path / "seed_8" / "gan", [3])
    (gan,) = load_gans(build_study({"dcgan": {}}, [7, 8]), tmp_path)
    assert gan.folder == "seed_7/gan"
    assert [grid.caption for grid in gan.grids] == ["epoch 1", "epoch 25", "epoch 10000"]
    assert [curve.caption for curve in gan.curves] == ["loss", "discriminator's score: 1 is real"]


def test_each_class_has_its_gan(tmp_path):
    for label in ("angry", "sad"):
        write_gan(tmp_path / "seed_0" / "gan" / label, [1])
    assert [gan.folder for gan in load_gans(build_study({"dcgan": {}}, [0]), tmp_path)] == [
        "seed_0/gan/angry",
        "seed_0/gan/sad",
    ]


def test_many_grids_are_thinned_but_for_the_first_and_the_last(tmp_path):
    write_gan(tmp_path / "seed_0" / "gan", list(range(1, 41)))
    (gan,) = load_gans(build_study({"dcgan": {}}, [0]), tmp_path)
    captions = [grid.caption for grid in gan.grids]
    assert (len(captions), captions[0], captions[-1], gan.grid_count) == (MAX_GRIDS, "epoch 1", "epoch 40", 40)


def test_a_gan_that_was_cut_short_shows_what_it_left(tmp_path):
    write_gan(tmp_path / "seed_0" / "gan", [1, 2])
    (tmp_path / "seed_0" / "gan" / "samples" / "epoch_0002.png").write_bytes(b"\x89PNG cut")
    (tmp_path / "seed_0" / "gan" / "result.json").unlink()
    (gan,) = load_gans(build_study({"dcgan": {}}, [0]), tmp_path)
    assert [grid.caption for grid in gan.grids] == ["epoch 1"]
    assert gan.curves == []
    assert "result.json" in gan.problem


@pytest.mark.parametrize(
    ("content", "is_audit"),
    [
        (json.dumps(AUDIT | {"headline": {"kid": 0.0123, "ct": None}}), True),
        (json.dumps(AUDIT | {"headline": {"kid": 0.0123, "recall": "x"}}), False),
        ("[]", False),
        ("{", False),
    ],
)
def test_the_measures_of_a_gan_s_images_are_a_table(tmp_path, content, is_audit):
    write_gan(tmp_path / "seed_0" / "gan", [1])
    (tmp_path / "seed_0" / "gan" / "audit.json").write_text(content)
    (gan,) = load_gans(build_study({"dcgan": {0: 0.8}}, [0]), tmp_path)
    assert gan.audits[0].measures == ([("KID against held-out images", "0.0123")] if is_audit else [])


def test_the_page_says_by_which_real_images_the_generated_ones_are_measured(tmp_path):
    write_gan(tmp_path / "seed_0" / "gan", [1])
    measures = {"held_out": 500, "held_out_source": "unused"}
    content = json.dumps(AUDIT | {"headline": {"kid": 0.0123}, "measures": measures})
    (tmp_path / "seed_0" / "gan" / "audit.json").write_text(content)
    (gan,) = load_gans(build_study({"dcgan": {0: 0.8}}, [0]), tmp_path)
    assert gan.audits[0].measures == [(HELD_OUT, "500 unused"), ("KID against held-out images", "0.0123")]


@pytest.mark.parametrize("content", ["[]", "{", '{"alarms": 3}', '{"alarms": [3]}'])
def test_a_health_file_of_another_kind_raises_no_alarm(tmp_path, content):
    (tmp_path / "health.json").write_text(content)
    assert read_alarms(tmp_path) == []

"""Images of any generator as an arm: read, audited, refused if they are copies of test images, compared by name."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fer_experiments import split as command_line
from fer_experiments.audit.__main__ import main as audit
from fer_experiments.audit.class_audit import ClassAudit
from fer_experiments.audit.record import FolderAuditRecord
from fer_experiments.data.class_folders import SPLIT_HASH_FILE, find_foreign_splits
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.split import hash_split
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.report.checks.audit_files import load_audits
from fer_experiments.report.leakage import find_leaks
from fer_experiments.report.sections.gans import load_gans
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.arms.compose import compose_arms
from fer_experiments.train.arms.external_images import draw_external_images
from tests.pictures import LEAN, draw_many, write_class

COUNTS = {"flat": {"train": 30, "valid": 30, "test": 30}, "steep": {"train": 60, "valid": 30, "test": 30}}
NEEDED = 30  # images of flat that balance.sampling_strategy=auto adds
FRESH = 50  # seed of images that the data lack


@pytest.fixture
def patterns(tmp_path) -> Path:
    root = tmp_path / "patterns"
    for label, parts in COUNTS.items():
        for seed, (part, count) in enumerate(parts.items()):
            write_class(root / part / label, draw_many(label, count, seed))
    return root


@pytest.fixture
def keys(patterns) -> list[str]:
    return [
        *("data=folder", "experiment=quick", f"data.root={patterns}", "data.channels=1"),
        *("classifier.image_size=32", "reference_classifier.image_size=32", "reference_classifier.epochs=1"),
    ]


@pytest.fixture
def generated(tmp_path) -> Path:
    """New images of flat, as a good generator would make them: 40 files, of which some are larger."""
    folder = tmp_path / "generated"
    write_class(folder / "flat", draw_many("flat", 40, FRESH))
    for number in range(20):
        file = folder / "flat" / f"{number:04d}.png"
        Image.open(file).resize((48, 40)).convert("RGB").save(file.with_suffix(".jpg"))
        file.unlink()
    return folder


def copy_part(patterns: Path, part: str, label: str, folder: Path) -> Path:
    """Write the images of a part as those of a generator, with a little noise."""
    rng = np.random.default_rng(0)
    files = sorted((patterns / part / label).iterdir())
    images = [np.clip(np.asarray(Image.open(file)) + rng.normal(0, 2, (32, 32)), 0, 255) for file in files]
    write_class(folder / label, [image.round().astype(np.uint8) for image in images])
    return folder


def test_images_of_any_size_fill_the_small_class_and_are_audited(run, keys, generated):
    folder = run("train=cnn", "balance=external", f"balance.synthetic={generated}", *keys)
    result = Result.load(folder)
    assert (result.arm, result.generated) == ("external", {"flat": NEEDED})
    audit = ClassAudit.load(folder)
    assert (audit.label, audit.generated, audit.synthetic) == ("flat", NEEDED, str(generated))
    assert audit.checks["leakage"].status == "pass"
    assert (folder / "nearest.png").is_file()
    used = pd.read_csv(folder / "training.csv")["path"]
    assert used.str.startswith(str(generated)).sum() == NEEDED


def test_they_are_drawn_by_the_seed_and_more_of_them_contain_fewer(read, keys, generated):
    settings = read(*keys, "train=cnn", "balance=external", f"balance.synthetic={generated}")
    data = PreparedData.prepare(settings.data, 0)

    def draw(seed: int, count: int) -> list[str]:
        images = draw_external_images(settings.with_seed(seed), data, settings.balance, {"flat": count})
        return images.files.tolist()

    assert draw(0, 20)[:10] == draw(0, 10)
    assert draw(0, 20) != draw(1, 20)
    assert len(set(draw(0, 40))) == 40
    with pytest.raises(ConfigError, match=r"has 40 images of flat, 41 are needed; .*balance\.add=\{flat: 40\}"):
        draw(0, 41)


def test_copies_of_one_image_are_counted_and_a_broken_one_is_named_before_it_is_drawn(read, keys, generated, caplog):
    settings = read(*keys, "train=cnn", "balance=external", f"balance.synthetic={generated}")
    data = PreparedData.prepare(settings.data, 0)
    first, *rest = sorted((generated / "flat").glob("*.png"))
    for file in rest[:9]:
        file.write_bytes(first.read_bytes())
    draw_external_images(settings, data, settings.balance, {"flat": 40})
    assert "9 of 40 images of flat are copies of others" in caplog.text
    for file in rest:
        file.write_bytes(b"broken")
    with pytest.raises(ConfigError, match=r"flat/\d+\.png: can't be read: cannot identify image file"):
        draw_external_images(settings, data, settings.balance, {"flat": 1})


def test_too_few_images_are_named_by_the_plan(read, keys, generated):
    arms = f'train.arms=[none,"external [balance.synthetic={generated}, balance.add=900]"]'
    config = read(*keys, "trainer=smoke", arms)
    with pytest.raises(
        ConfigError,
        match=r"40 images of flat, 900 are needed; add some, or ask for fewer: balance\.add=\{flat: 40\}",
    ):
        config.train.plan(config)


def test_one_copy_among_many_images_is_enough(run, keys, patterns, generated):
    shutil.copy(patterns / "test" / "flat" / "0003.png", generated / "flat" / "copy.png")
    overrides = ["train=cnn", "balance=external", f"balance.synthetic={generated}", "balance.add=41", *keys]
    with pytest.raises(
        ConfigError, match=r"The pixels of 1 of them are those of such an image\. Its generator may have"
    ):
        run(*overrides)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_copies_of_images_that_no_generator_may_see_are_refused(run, keys, patterns, tmp_path, part):
    copies = copy_part(patterns, part, "flat", tmp_path / "copies")
    overrides = ["train=cnn", "balance=external", f"balance.synthetic={copies}", *keys]
    with pytest.raises(ConfigError, match=r"copies: flat: .*are nearer to one of 60 .*balance\.trust=true"):
        run(*overrides)
    assert not (tmp_path / "run" / "result.json").exists()
    folder = run(*overrides, "balance.trust=true", folder=tmp_path / "trusted")
    assert Result.load(folder).generated == {"flat": NEEDED}
    assert ClassAudit.load(folder).checks["leakage"].status == "fail"


def test_copies_of_training_images_are_found_and_used(run, keys, patterns, tmp_path):
    copies = copy_part(patterns, "train", "flat", tmp_path / "copies")
    folder = run("train=cnn", "balance=external", f"balance.synthetic={copies}", *keys)
    assert ClassAudit.load(folder).checks["memorisation"].status == "fail"
    assert Result.load(folder).generated == {"flat": NEEDED}


def test_images_with_a_fault_are_left_out(run, keys, patterns, tmp_path):
    folder = copy_part(patterns, "train", "flat", tmp_path / "mixed")
    fresh = draw_many("flat", 60, FRESH)
    for number, pixels in enumerate(fresh):
        Image.fromarray(pixels).save(folder / "flat" / f"fresh_{number:03d}.png")
    overrides = ["train=cnn", "balance=external", f"balance.synthetic={folder}", "balance.reject=[memorised]", *keys]
    used = pd.read_csv(run(*overrides) / "training.csv")["path"]
    added = used[used.str.startswith(str(folder))]
    assert len(added) == NEEDED
    assert added.str.contains("fresh_").all()
    with pytest.raises(ConfigError, match=r"balance\.reject=\['memorised'\] lets through \d+ of 90 images of flat"):
        run(*overrides, "balance.add=80", folder=tmp_path / "more")


def test_generators_are_compared_by_name_and_one_that_leaks_costs_only_its_arm(
    run, keys, patterns, generated, tmp_path
):
    leaking = copy_part(patterns, "test", "flat", tmp_path / "leaking")
    arms = ["none", *(f'"external [balance.synthetic={folder}, balance.name={name}]"' for folder, name in
                      ((generated, "good"), (leaking, "sdxl")))]  # fmt: skip
    with pytest.raises(ConfigError, match=r"1 of 3 trainings failed:\n  seed 0, sdxl: ConfigError: .*leaking: flat"):
        run(f"train.arms=[{','.join(arms)}]", "train.seeds=1", *keys)
    record = StudyRecord.load(tmp_path / "run")
    assert record.arms == ["none", "good", "sdxl"]
    assert [(result.arm, result.generated) for result in record.results] == [("none", {}), ("good", {"flat": NEEDED})]
    (good,) = load_gans(record, tmp_path / "run")
    assert (good.title, good.folder, good.grids) == ("good: 30 images of flat", "seed_0/good", [])
    assert good.audits[0].nearest is not None
    page = (tmp_path / "run" / "report.html").read_text()
    assert "good: 30 images of flat" in page
    for result in record.results:
        assert find_leaks(result, record.folder_of(result, tmp_path / "run")) == []
    statuses = [audit.checks["leakage"].status for audit in load_audits(record, tmp_path / "run")]
    assert statuses == ["pass", "fail"]  # sdxl has no result, but an audit


def test_the_runs_own_folder_is_that_of_external_arms_alone(read, keys, generated):
    config = read(*keys, "balance=external", f"balance.synthetic={generated}", "train.arms=[external,dcgan]")
    external, dcgan = compose_arms(config.train.arms, config)
    assert (external.balance.synthetic, dcgan.balance.synthetic) == (generated, None)
    assert external.balance.needs_generated_images is False


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("external", r"external: needs balance\.synthetic; write 'external \[balance\.synthetic=VALUE\]'"),
        ("external [balance.synthetic=nowhere]", r"balance\.synthetic=nowhere: external .*: is not a folder"),
        ("external [balance.synthetic=DIR]@leak", "what its generator has seen is not known"),
        ("external [balance.synthetic=DIR, balance.name=a+b]", r"balance\.name='a\+b'"),
        ("external [balance.synthetic=DIR, balance.name=oversample]", r"balance\.name=oversample: .*of a strategy"),
    ],
)
def test_wrong_arms_are_refused(read, generated, arm, message):
    config = read(f"train.arms=['{arm.replace('DIR', str(generated))}']")
    with pytest.raises(ConfigError, match=message):
        compose_arms(config.train.arms, config)


def test_a_name_outside_of_an_arm_is_refused(read, generated):
    config = read("balance=external", f"balance.synthetic={generated}", "balance.name=mine", "train=cnn")
    with pytest.raises(ConfigError, match=r"balance\.name=mine: names an arm of train\.arms, in its brackets"):
        config.train.check(config)


# What a generator may see


def export(folder: Path, keys: list[str], *overrides: str) -> int:
    return command_line.main([*keys, *overrides, "--out", str(folder)])


def test_the_training_images_alone_are_written_at_their_own_size(keys, patterns, tmp_path):
    Image.fromarray(np.full((40, 50), 9, np.uint8)).save(patterns / "train" / "flat" / "large.png")
    out = tmp_path / "export"
    assert export(out, keys, "train.seeds=1") == 0
    for label, parts in COUNTS.items():
        files = sorted((out / "images" / label).iterdir())
        assert len(files) == parts["train"] + (label == "flat")
        written = {Image.open(file).tobytes() for file in files}
        assert written == {Image.open(file).tobytes() for file in (patterns / "train" / label).iterdir()}
    sizes = {Image.open(file).size for file in (out / "images" / "flat").iterdir()}
    assert sizes == {(32, 32), (50, 40)}
    assert read_hashes(out) == [hash_split((out / "split.csv").read_bytes())]
    assert "balance=external" in (out / "README.txt").read_text()


def test_images_are_audited_against_an_export_before_there_is_a_run(keys, generated, tmp_path, capsys):
    assert export(tmp_path / "export", keys, "data.split_seed=0") == 0
    split = tmp_path / "export" / "split.csv"
    assert audit([str(generated), "--split", str(split), "--out", str(tmp_path / "audit"), "--no-usefulness"]) in (0, 1)
    assert "leakage" in capsys.readouterr().out
    assert FolderAuditRecord.load(tmp_path / "audit").split_hash == hash_split(split.read_bytes())


def read_hashes(folder: Path) -> list[str]:
    return (folder / SPLIT_HASH_FILE).read_text().split()


def carved(patterns: Path, root: Path) -> list[str]:
    """Return the keys of data without parts, of which a validation part is carved out for each seed."""
    for label in LEAN:
        write_class(root / label, draw_many(label, 60, 7))
    return ["data=folder", "experiment=quick", f"data.root={root}", "data.channels=1"]


def test_of_several_seeds_the_images_are_written_that_all_of_them_train_on(patterns, tmp_path, capsys):
    keys = carved(patterns, tmp_path / "whole")
    assert export(tmp_path / "three", keys, "train.seeds=3") == 0
    assert "these are training images of all 3 seeds; one seed has" in capsys.readouterr().out
    splits = [pd.read_csv(tmp_path / "three" / f"split_seed_{seed}.csv") for seed in range(3)]
    common = set.intersection(*(set(table.query("split == 'train'")["path"]) for table in splits))
    files = [file for label in LEAN for file in (tmp_path / "three" / "images" / label).iterdir()]
    assert len(files) == len(common) < len(splits[0].query("split == 'train'"))
    assert len(read_hashes(tmp_path / "three")) == 3
    assert export(tmp_path / "one", keys, "train.seeds=3", "data.split_seed=0") == 0
    files = [file for label in LEAN for file in (tmp_path / "one" / "images" / label).iterdir()]
    assert len(files) == len(splits[0].query("split == 'train'"))
    assert len(read_hashes(tmp_path / "one")) == 1


def test_a_class_may_be_named_by_bytes_that_are_not_text(tmp_path):
    for label, seed in (("caf\udce9", 0), ("tea", 1)):
        write_class(tmp_path / "drinks" / label, draw_many("flat", 20, seed))
    out = tmp_path / "out"
    assert command_line.main([f"data.root={tmp_path / 'drinks'}", "data=folder", "--out", str(out)]) == 0
    assert "caf\udce9" in (out / "README.txt").read_text(errors="surrogateescape")


def test_all_seeds_have_the_split_of_split_seed(read, patterns, tmp_path):
    keys = carved(patterns, tmp_path / "whole")

    def hashes(*overrides: str) -> set[str]:
        data = read(*keys, *overrides).data
        return {PreparedData.prepare(data, seed).split.hash for seed in range(3)}

    assert len(hashes()) == 3
    assert len(hashes("data.split_seed=1")) == 1
    assert hashes("data.split_seed=1") < hashes()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.rot=1"], r"split: data\.rot: unknown key; did you mean data\.root"),
        (["data=folder"], r"split: data\.root: Missing mandatory value"),
        (["data=folder", "data.root=nowhere"], r"split: data\.root=nowhere: does not exist"),
        (["gan=none"], r"split: gan=none: conf/gan/ has no none"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, capsys, overrides, message):
    assert command_line.main([*overrides, "--out", str(tmp_path / "export")]) == 2
    assert re.match(message, capsys.readouterr().err)


def test_a_folder_that_is_not_empty_and_seeds_without_common_images_are_refused(keys, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert export(tmp_path / "full", keys, "train.seeds=1") == 2
    assert "is not empty" in capsys.readouterr().err
    assert export(tmp_path / "few", keys, "data.counts={flat: 2, steep: 2}") == 2
    assert "no image of flat, steep is a training image of all 20 seeds; data.split_seed=0" in capsys.readouterr().err


def test_a_folder_says_from_which_split_its_images_are(run, keys, generated, tmp_path):
    assert find_foreign_splits(generated, "a") == []
    (generated / SPLIT_HASH_FILE).write_text("a\nb\n")
    assert (find_foreign_splits(generated, "a"), find_foreign_splits(generated, "c")) == ([], ["a", "b"])
    folder = run("train=cnn", "balance=external", f"balance.synthetic={generated}", *keys)
    leakage = ClassAudit.load(folder).checks["leakage"]
    assert leakage.status == "warn"
    assert "They were made from another split (a, b)" in leakage.message
    (generated / SPLIT_HASH_FILE).write_text(f"a\n{hash_split((folder / 'split.csv').read_bytes())}\n")
    folder = run("train=cnn", "balance=external", f"balance.synthetic={generated}", *keys, folder=tmp_path / "known")
    assert ClassAudit.load(folder).checks["leakage"].status == "pass"

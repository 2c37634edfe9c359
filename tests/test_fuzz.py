"""Whatever bytes and words come in, the answer is a clear error or a result: no crash, no hang.

Each test tries a few dozen examples; FUZZ=100 pytest tests/test_fuzz.py tries a hundred times as many.
"""

import io
import json
import os
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hydra.errors import HydraException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_experiments.audit.class_audit import ClassAudit
from fer_experiments.audit.findings import make_findings
from fer_experiments.audit.record import AuditRecord
from fer_experiments.data.cache import open_cache
from fer_experiments.data.class_folders import read_class_folders
from fer_experiments.data.synthetic import COLUMNS, MANIFEST, read_synthetic
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.predictions import PREDICTIONS_FILE, Predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.arms.compose import compose_arms
from fer_experiments.train.config import Config
from tests.conftest import source, write_synthetic
from tests.measures import class_measures
from tests.results import build_result

TIMES = int(os.environ.get("FUZZ", "1"))
TIME_LIMIT = timedelta(seconds=20)  # of an example; more is a hang


def fuzz(examples: int):
    return settings(
        max_examples=examples * TIMES,
        deadline=TIME_LIMIT,
        derandomize=TIMES == 1,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        database=None,
    )


def encode_picture(format: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.arange(20 * 16 * 3, dtype=np.uint8).reshape(16, 20, 3)
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


IMAGES = {format: encode_picture(format) for format in ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF")}


@st.composite
def spoilt(draw, contents):
    """Draw one of `contents` with bytes changed, cut, inserted or doubled."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["change", "cut", "insert", "double"]))
        if kind == "change":
            content[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "cut":
            del content[place : place + draw(st.integers(1, 40))]
        elif kind == "insert":
            content[place:place] = draw(st.binary(max_size=16))
        else:
            content[place:place] = content[place : place + draw(st.integers(1, 40))]
    return bytes(content)


@given(spoilt(list(IMAGES.values())) | st.binary(max_size=300), st.sampled_from([".png", ".jpg"]), st.booleans())
@fuzz(60)
def test_image_bytes(content, suffix, grayscale):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "images")
        for label in ("a", "b"):
            (root / label).mkdir(parents=True)
            (root / label / "good.png").write_bytes(IMAGES["PNG"])
        (root / "a" / f"odd{suffix}").write_bytes(content)
        cache = open_cache(source("folder", root=root, cache_dir=Path(folder, "cache"), grayscale=grayscale))
        (row,) = [row for _, row in cache.index.iterrows() if "odd" in row["path"]]
        assert bool(row["error"]) != bool(row["content_hash"])
        with suppress(ConfigError):
            read_class_folders(root, ["a", "b"], 1 if grayscale else 3, 32, None)


GOOD_ROW = "3," + " ".join(["7"] * 48 * 48) + ",Training\n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
CELL = TEXT | st.sampled_from(["0", "6", "7", "-1", "nan", "1e400", "0 " * 2304, "256 " * 2304, '"', "Training", ",,,"])


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=4), spoilt([f"emotion,pixels,Usage\n{GOOD_ROW * 2}".encode()]))
@fuzz(40)
def test_rows_of_fer2013(rows, bytes_of_a_file):
    text = "emotion,pixels,Usage\n" + GOOD_ROW + "".join(",".join(row) + "\n" for row in rows)
    for content in (text.encode(), bytes_of_a_file):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "fer2013.csv").write_bytes(content)
            with suppress(ConfigError):
                open_cache(source("fer2013", root=Path(folder), cache_dir=Path(folder, "cache")))


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """A folder of generated images, and its manifest."""
    folder = tmp_path_factory.mktemp("synthetic")
    write_synthetic(folder, "a", np.zeros((3, 8, 8, 1), dtype=np.uint8), [1, 2, 3], "c", "s")
    return folder, (folder / MANIFEST).read_bytes()


FILES = TEXT | st.sampled_from(["../../etc/passwd", "/etc/passwd", "/dev/zero", "a/00000001.png", "a", "", "a/\0"])
MANIFESTS = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, FILES)), max_size=3)


@given(st.data())
@fuzz(60)
def test_manifests(synthetic, data):
    folder, manifest = synthetic
    if data.draw(st.booleans()):
        content = data.draw(spoilt([manifest]))
    else:
        rows = [{**row, "class": "a", "split_hash": "s"} for row in data.draw(MANIFESTS)]
        lines = [",".join(COLUMNS), *(",".join(json.dumps(row[name]) for name in COLUMNS) for row in rows)]
        content = "\n".join(lines).encode()
    (folder / MANIFEST).write_bytes(content)
    for reject in ((), ("memorised",)):
        with suppress(ConfigError):
            images = read_synthetic(folder, {"a": 1}, "s", 1, reject)
            assert all(Path(file).resolve().is_relative_to(folder.resolve()) for file in images.files)


MEASURES = class_measures()
AUDIT = {"measures": MEASURES, "headline": MEASURES.headline(), "checks": make_findings(MEASURES)}
RECORDS = [
    json.dumps(record.model_dump(mode="json")).encode()
    for record in (
        build_result("none", 0, 0.7),
        StudyRecord(arms=["none"], seeds=[0]),
        ClassAudit(label="angry", generated=20, synthetic="gan/synthetic", **AUDIT),
    )
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def changed_record(draw):
    """Draw a good record with some of its values replaced by anything."""
    record = json.loads(draw(st.sampled_from(RECORDS)))
    for key in draw(st.lists(st.sampled_from(sorted(record)), min_size=1, max_size=3)):
        record[key] = draw(JSON)
    return json.dumps(record).encode()


@given(spoilt(RECORDS) | changed_record() | st.binary(max_size=50))
@fuzz(100)
def test_files_of_records(content):
    records = (Result, StudyRecord, ClassAudit, AuditRecord)
    with tempfile.TemporaryDirectory() as folder:
        for name in (PREDICTIONS_FILE, *(record.file_name for record in records)):
            Path(folder, name).write_bytes(content)
        for load in (*(record.load for record in records), lambda path: Predictions.load(path, "test")):
            with suppress(ValueError):
                load(Path(folder))


KEYS = [
    "seed", "accelerator", "train.arms", "train.seeds", "train.metric", "data", "data.counts", "data.imbalance",
    "data.classes", "data.parts", "balance", "balance.add", "balance.sampling_strategy", "augment", "gan.loss",
    "gan.latent_dim", "gan.betas", "gan.diffaugment", "gan.pretrained", "gan.image_size", "classifier.network",
    "classifier.optimizer", "classifier.network.dropout", "classifier.image_size", "reference_classifier.epochs",
    "trainer.precision",
]  # fmt: skip
VALUES = TEXT | st.sampled_from(
    ["null", "-1", "0", "nan", "inf", "1e9", "[]", "{}", "[1,2]", "{angry: 1}", "{angry: -1}", "${seed}", "${nothing}",
     "???", "[none,none]", "'dcgan [balance.add=x]'", "none@leak", "../../x", "{_target_: builtins.dict}", "~", "\\"]
)  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from(["", "+", "++", "~"]), st.sampled_from(KEYS), VALUES), min_size=1, max_size=3)
)
@fuzz(25)
def test_overrides(compose, overrides):
    try:
        composed = compose(*(f"{sign}{key}={value}" for sign, key, value in overrides))
    except (HydraException, ValueError, TypeError):  # Hydra's; the last two if a group is null or a list
        return
    with suppress(ConfigError):
        Config.read(composed)


@pytest.fixture
def config(read):
    return read()


@given(st.lists(TEXT | st.sampled_from(["dcgan [balance.add=", "none+", "+none", "dcgan [balance.add={a: 1}]@leak"])))
@fuzz(40)
def test_arms(config, arms):
    with suppress(ConfigError):
        compose_arms(arms, config)

"""TensorBoard's projector finds the features, parts and pictures of its points."""

import numpy as np
import pandas as pd
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector

from fer_experiments.trainer.loggers.projector import MAX_POINTS, write_projector


def test_each_point_has_features_a_part_and_a_picture(tmp_path):
    counts = {"train": MAX_POINTS + 5, "generated": 7}
    features = {part: torch.randn(count, 60) for part, count in counts.items()}
    images = {part: torch.zeros(count, 1, 40, 40, dtype=torch.uint8) for part, count in counts.items()}
    images["generated"] += 255
    write_projector(tmp_path, features, images)
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), projector.ProjectorConfig())
    (embedding,) = config.embeddings
    assert np.loadtxt(tmp_path / embedding.tensor_path).shape == (MAX_POINTS + 7, 50)
    parts = pd.read_csv(tmp_path / embedding.metadata_path, header=None)[0]
    assert parts.tolist() == ["train"] * MAX_POINTS + ["generated"] * 7
    sprite = np.asarray(Image.open(tmp_path / embedding.sprite.image_path))
    width, height = embedding.sprite.single_image_dim
    cells = sprite.reshape(15, height, 15, width, 3).mean((1, 3, 4)).flatten()
    assert cells[: MAX_POINTS + 7].tolist() == [0] * MAX_POINTS + [255] * 7


def test_few_points_have_fewer_dimensions(tmp_path):
    write_projector(tmp_path, {"train": torch.randn(3, 60)}, {"train": torch.zeros(3, 3, 8, 8, dtype=torch.uint8)})
    assert np.loadtxt(tmp_path / "projector" / "features.tsv").shape == (3, 3)

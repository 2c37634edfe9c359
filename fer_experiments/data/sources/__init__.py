"""The data sources that conf/data/ names, a file for each.

pandas is imported where images are listed, so that a configuration is checked without it.
"""

from fer_experiments.data.sources.base import DataSource
from fer_experiments.data.sources.digits import Digits
from fer_experiments.data.sources.drawn_faces import DrawnFaces
from fer_experiments.data.sources.fer2013 import FER2013
from fer_experiments.data.sources.folder import Folder
from fer_experiments.data.sources.huggingface import HuggingFace
from fer_experiments.data.sources.mma import MMA
from fer_experiments.data.sources.npz import MedMNIST, Npz
from fer_experiments.data.sources.table import Table
from fer_experiments.data.sources.torchvision_dataset import TorchvisionDataset

__all__ = [
    "FER2013",
    "MMA",
    "DataSource",
    "Digits",
    "DrawnFaces",
    "Folder",
    "HuggingFace",
    "MedMNIST",
    "Npz",
    "Table",
    "TorchvisionDataset",
]

"""Read monochrome DICOM images of one frame, with pydicom, which is an optional package."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fer_experiments.errors import ConfigError

if TYPE_CHECKING:
    from pydicom import Dataset

EXTENSION = ".dcm"
MARK_PLACE, MARK = 128, b"DICM"  # of the bytes by which the format is recognised
INSTALL = "needs pydicom; run pip install 'fer-experiments[dicom]'"


def is_dicom(path: Path) -> bool:
    """Whether the file's content is DICOM. Raises OSError if it can't be read."""
    with path.open("rb") as file:
        file.seek(MARK_PLACE)
        return file.read(len(MARK)) == MARK


def check_pydicom(paths: list[str], key: str) -> None:
    """Raise ConfigError, which begins with `key`, if there are .dcm files among the paths but pydicom is missing."""
    files = [path for path in paths if path.lower().endswith(EXTENSION)]
    if files and find_spec("pydicom") is None:
        raise ConfigError(f"{key}: has {len(files)} {EXTENSION} files, such as {files[0]}; reading them {INSTALL}")


def read_dicom(path: Path, max_pixels: int) -> Image.Image:
    """Return a DICOM image as 8-bit grayscale, with black as its smallest value also if it is of MONOCHROME1.

    Rescale and the first window of the file are applied. Without a window, the whole range of its stored bits
    (BitsStored) goes from black to white, so that images of the same kind keep their brightness relative to each other.
    A VOI lookup table is not applied.

    Raises ValueError if pydicom is missing, or if the file is deflated or has colour, several frames or more than
    max_pixels; and whatever pydicom raises for a file that it can't read.
    """
    if find_spec("pydicom") is None:
        raise ValueError(f"reading DICOM {INSTALL}")
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    if read_file_meta_info(path).TransferSyntaxUID.is_deflated:
        raise ValueError("a deflated DICOM file, whose size is not limited; save it without compression")
    dataset = dcmread(path)
    _check_kind(dataset, max_pixels)
    values, low, high = _apply_window(dataset)
    shares = np.clip((values - low) / (high - low), 0, 1)
    if dataset.PhotometricInterpretation == "MONOCHROME1":  # small values are bright
        shares = 1 - shares
    return Image.fromarray((shares * 255).round().astype(np.uint8))


def _check_kind(dataset: "Dataset", max_pixels: int) -> None:
    kind, frames = dataset.get("PhotometricInterpretation"), int(dataset.get("NumberOfFrames") or 1)
    if kind not in ("MONOCHROME1", "MONOCHROME2") or frames != 1:
        raise ValueError(f"a DICOM file of {kind} with {frames} frames; only monochrome ones of one frame are read")
    if dataset.Rows * dataset.Columns > max_pixels:
        raise ValueError(f"{dataset.Columns} x {dataset.Rows} pixels, more than {max_pixels}")


def _apply_window(dataset: "Dataset") -> tuple[np.ndarray, float, float]:
    """Return the values (H, W) after rescale and window, and those that are black and white in MONOCHROME2.

    pydicom's window maps to the range that the stored bits have after the rescale, which also holds without a window.
    """
    from pydicom.pixels import apply_modality_lut, apply_windowing

    values = apply_windowing(apply_modality_lut(dataset.pixel_array, dataset).astype(np.float64), dataset)
    if dataset.get("ModalityLUTSequence"):
        return values, 0, 2 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    bits, is_signed = dataset.BitsStored, dataset.PixelRepresentation == 1
    low = -(2 ** (bits - 1)) if is_signed else 0
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    if slope <= 0:
        raise ValueError(f"a DICOM file with RescaleSlope {slope:g}; it must be over 0")
    return values, low * slope + intercept, (low + 2**bits - 1) * slope + intercept

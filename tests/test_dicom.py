"""DICOM files are shown as a viewer shows them: rescaled, windowed, with MONOCHROME1 inverted."""

import sys

import numpy as np
import pytest

from fer_experiments.data.cache import open_cache
from fer_experiments.data.decode import decode, open_image
from fer_experiments.errors import ConfigError
from tests.conftest import source, write_images

pydicom = pytest.importorskip("pydicom")
STORED = np.linspace(0, 4095, 64).round().astype(np.uint16).reshape(8, 8)


def save_dicom(file, stored=STORED, bits=12, syntax=pydicom.uid.ExplicitVRLittleEndian, **elements):
    """Save values (H, W) as a DICOM file of one monochrome frame, with other elements by keyword."""
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.SecondaryCaptureImageStorage, "1.2.3"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype == np.int16)
    dataset.PixelData = stored.tobytes()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(file, enforce_file_format=True)


def read_pixels(file) -> np.ndarray:
    with open_image(file) as image:
        return np.asarray(decode(image, 1)).astype(float)


def test_without_a_window_the_stored_bits_go_from_black_to_white(tmp_path):
    save_dicom(tmp_path / "x.dcm")
    np.testing.assert_allclose(read_pixels(tmp_path / "x.dcm"), STORED / 4095 * 255, atol=0.51)
    save_dicom(tmp_path / "dark.dcm", STORED // 10)
    assert read_pixels(tmp_path / "dark.dcm").max() == round(409 / 4095 * 255)


def test_the_window_is_applied_to_rescaled_values(tmp_path):
    window = {"WindowCenter": 40, "WindowWidth": 401}  # -160 to 240 of Hounsfield's units
    save_dicom(tmp_path / "x.dcm", RescaleSlope=1, RescaleIntercept=-1024, **window)
    hounsfield = STORED.astype(float) - 1024
    expected = np.clip((hounsfield - 39.5 + 200) / 400, 0, 1) * 255
    np.testing.assert_allclose(read_pixels(tmp_path / "x.dcm"), expected, atol=0.51)


def test_the_first_of_several_windows_counts(tmp_path):
    save_dicom(tmp_path / "first.dcm", WindowCenter=1000, WindowWidth=500)
    save_dicom(tmp_path / "both.dcm", WindowCenter=[1000, 3000], WindowWidth=[500, 100])
    np.testing.assert_array_equal(read_pixels(tmp_path / "both.dcm"), read_pixels(tmp_path / "first.dcm"))


def test_signed_values_are_read(tmp_path):
    save_dicom(tmp_path / "x.dcm", (STORED.astype(np.int16) - 2048))
    np.testing.assert_allclose(read_pixels(tmp_path / "x.dcm"), STORED / 4095 * 255, atol=0.51)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 900}])
def test_monochrome1_is_inverted(tmp_path, window):
    save_dicom(tmp_path / "x.dcm", **window)
    save_dicom(tmp_path / "inverted.dcm", PhotometricInterpretation="MONOCHROME1", **window)
    total = read_pixels(tmp_path / "inverted.dcm") + read_pixels(tmp_path / "x.dcm")
    np.testing.assert_allclose(total, 255, atol=1)


def test_a_dicom_file_is_recognised_by_its_content(tmp_path):
    save_dicom(tmp_path / "x.png")
    assert read_pixels(tmp_path / "x.png").max() == 255


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "a DICOM file of RGB with 1 frames; only mono"),
        ({"NumberOfFrames": 3}, "a DICOM file of MONOCHROME2 with 3 frames; only monochrome ones of one frame are"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "a DICOM file with RescaleSlope 0; it must be over 0"),
        ({"Rows": 20_000, "Columns": 20_000}, "20000 x 20000 pixels, more than"),
    ],
)
def test_what_is_not_a_monochrome_image_is_refused(tmp_path, elements, message):
    save_dicom(tmp_path / "x.dcm", **elements)
    with pytest.raises(ValueError, match=message):
        open_image(tmp_path / "x.dcm")


def test_a_deflated_file_could_fill_the_memory_and_is_refused(tmp_path):
    save_dicom(tmp_path / "x.dcm", syntax=pydicom.uid.DeflatedExplicitVRLittleEndian)
    with pytest.raises(ValueError, match="a deflated DICOM file, whose size is not limited; save it without compressi"):
        open_image(tmp_path / "x.dcm")


def test_a_compressed_file_is_read(tmp_path):
    save_dicom(tmp_path / "plain.dcm")
    dataset = pydicom.dcmread(tmp_path / "plain.dcm")
    dataset.compress(pydicom.uid.RLELossless)
    dataset.save_as(tmp_path / "rle.dcm")
    np.testing.assert_array_equal(read_pixels(tmp_path / "rle.dcm"), read_pixels(tmp_path / "plain.dcm"))


def test_a_folder_of_dicom_files_is_a_data_source(tmp_path):
    for label in ("a", "b"):
        save_dicom(tmp_path / label / "x.dcm")
    (tmp_path / "b" / "broken.DCM").write_bytes((tmp_path / "b" / "x.dcm").read_bytes()[:-50])
    index = open_cache(source("folder", root=tmp_path)).index
    assert list(index["path"]) == ["a/x.dcm", "b/broken.DCM", "b/x.dcm"]
    assert [error != "" for error in index["error"]] == [False, True, False]


def test_without_pydicom_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    write_images(tmp_path / "a", 1)
    assert len(source("folder", root=tmp_path).items()) == 1  # no DICOM file needs it
    save_dicom_bytes(tmp_path / "a" / "x.dcm")
    message = r"data\.root=.*: has 1 \.dcm files, such as a/x\.dcm; reading them needs pydicom; run pip install "
    with pytest.raises(ConfigError, match=message + r"'fer-experiments\[dicom\]'"):
        source("folder", root=tmp_path).items()
    with pytest.raises(ValueError, match=r"reading DICOM needs pydicom; run pip install 'fer-experiments\[dicom\]'"):
        open_image(tmp_path / "a" / "x.dcm")


def save_dicom_bytes(file):
    """Save the bytes by which a DICOM file is recognised."""
    file.write_bytes(bytes(128) + b"DICM")

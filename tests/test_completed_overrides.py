"""What a command means that names no experiment, or a length of the GAN's training beside an experiment's."""

import pytest

from fer_experiments.completed_overrides import complete_overrides
from tests.processes import run_module


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["data=folder", "data.root=x"], ["data=folder", "experiment=images", "data.root=x"]),
        (["data=fer2013", "-m"], ["data=fer2013", "experiment=images", "-m"]),
        (["data=folder,table"], ["data=folder,table", "experiment=images"]),
        (["train=dcgan"], ["train=dcgan"]),
        (["train=diffusion"], ["train=diffusion", "experiment=quick_classifier"]),
        (["gan=vae", "-m"], ["gan=vae", "experiment=quick_classifier", "-m"]),
        (["gan=vae", "data=faces"], ["gan=vae", "experiment=quick_classifier", "data=faces"]),
        (["gan=vae", "data=folder"], ["gan=vae", "data=folder", "experiment=images"]),
        (["gan=vae", "experiment=full"], ["gan=vae", "experiment=full"]),
        (["gan=conditional"], ["gan=conditional"]),
        (["gan=dcgan,diffusion"], ["gan=dcgan,diffusion"]),
        (["data=faces"], ["data=faces"]),
        (["data=faces,folder"], ["data=faces,folder"]),
        (["data=folder", "experiment=quick"], ["data=folder", "experiment=quick"]),
        (["data=folder", "~experiment"], ["data=folder", "~experiment"]),
        (["data=folder", "train=evaluate"], ["data=folder", "train=evaluate"]),
        (["-cn", "mine", "data=folder"], ["-cn", "mine", "data=folder"]),
        (["--config-name=mine", "data=folder"], ["--config-name=mine", "data=folder"]),
        (["gan.epochs=300"], ["gan.epochs=300", "gan.images_seen=null"]),
        (["gan.images_seen=9600", "-m"], ["gan.images_seen=9600", "gan.epochs=null", "-m"]),
        (["gan.epochs=null", "gan.images_seen=1"], ["gan.epochs=null", "gan.images_seen=1"]),
        (["gan.images_seen=null"], ["gan.images_seen=null"]),
        (["++gan.epochs=3"], ["++gan.epochs=3", "gan.images_seen=null"]),
        (["~gan.epochs"], ["~gan.epochs"]),
        (["data=glob(f*)"], ["data=glob(f*)"]),
        (["--config-dir", "gan"], ["--config-dir", "gan"]),
        (["--config-dir", "data", "-p", "gan"], ["--config-dir", "data", "-p", "gan"]),
    ],
)
def test_overrides_follow_from_what_is_typed(arguments, expected):
    assert list(complete_overrides(arguments)) == expected


def configuration(folder, *arguments: str) -> str:
    return run_module("fer_experiments", [*arguments, "--cfg", "job"], folder).stdout


def test_real_images_are_not_trained_as_briefly_as_the_drawn_faces(tmp_path):
    assert "\n  epochs: null\n  images_seen: 64000\n" in configuration(tmp_path, "data=folder", f"data.root={tmp_path}")


def test_a_typed_length_wins_over_that_of_the_experiment(tmp_path):
    assert "\n  epochs: null\n  images_seen: 9600\n" in configuration(tmp_path)
    assert "\n  epochs: 300\n  images_seen: null\n" in configuration(tmp_path, "gan.epochs=300")
    assert "\n  epochs: null\n  images_seen: 99\n" in configuration(tmp_path, "experiment=paper", "gan.images_seen=99")

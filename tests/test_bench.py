"""The benchmark: its references are faithful, its table says what was measured. Nothing is timed here."""

import subprocess

import pytest
import torch

from fer_experiments.bench import __main__ as bench
from fer_experiments.bench import tutorial
from fer_experiments.classifier.networks import CNN


def test_the_usual_network_is_ours_in_another_order():
    ours, usual = CNN(2).eval(), tutorial.UsualCNN(2).eval()
    states = zip(ours.state_dict().values(), usual.state_dict().values(), strict=True)
    with torch.no_grad():
        for mine, other in states:
            other.copy_(mine)
    images = torch.rand(2, 3, 100, 100)
    torch.testing.assert_close(usual(images), ours(images))


@pytest.mark.parametrize("loop", [tutorial.dcgan, tutorial.classifier])
def test_the_references_run(two_classes, monkeypatch, loop):
    monkeypatch.setattr(tutorial, "BATCH", 16)
    monkeypatch.setattr(tutorial, "WORKERS", 0)
    loop(str(two_classes), 1, torch.device("cpu"))


def test_both_sides_get_the_same_images_batch_and_epochs(tmp_path):
    lines = bench.commands(tmp_path, tmp_path / "run")
    assert {key[:2] for key in lines} == {(t, w) for t in ("dcgan", "classifier") for w in ("tutorial", "ours")}
    for (training, whose, epochs), line in lines.items():
        text = " ".join(line)
        if whose == "ours":
            assert f"{'gan' if training == 'dcgan' else 'classifier'}.epochs={epochs}" in text
            assert f"batch_size={tutorial.BATCH}" in text
        else:
            assert text.endswith(f" {epochs}")


def test_an_epoch_is_a_difference_of_processes(tmp_path, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(subprocess, "run", lambda *line, **options: None)
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    found = bench.measure(tmp_path, repeats=1)
    assert found["dcgan"]["ours"]["process_seconds"] == 1  # every process takes one tick of this clock
    assert found["dcgan"]["ours"]["epoch_seconds"] == 0


def test_the_table_gives_seconds_and_how_many_times_faster():
    report = {
        "machine": {"device": "CPU"},
        **{
            training: {
                whose: {"process_seconds": 3.0 * seconds, "epoch_seconds": float(seconds), "epochs": 3}
                for whose, seconds in (("tutorial", 10), ("ours", 4))
            }
            for training in bench.EPOCHS
        },
    }
    assert "| dcgan | 3 | 30.0 s | 12.0 s | 2.50 | 10.0 s | 4.0 s | 2.50 |" in bench.table(report)


def test_zero_repeats_are_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--repeats", "0"])
    assert "--repeats and --images must be 1 or more" in capsys.readouterr().err

"""Keys on the command line that conf/ does not have."""

import subprocess
import sys

import pytest

from fer_experiments.override_keys import explain_wrong_keys
from fer_experiments.strict_config import CONF_DIR


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("gan.epoch=5", "gan.epoch: unknown key; did you mean gan.epochs? (keys here: batch_size, betas, "),
        ("+gan.epoch=5", "gan.epoch: unknown key; did you mean gan.epochs?"),
        ("++classifier.netwerk.dropout=0", "classifier.netwerk: unknown key; did you mean classifier.network?"),
        (
            "reference_classifier.epoch=1,2",
            "reference_classifier.epoch: unknown key; did you mean reference_classifier.",
        ),
        ("data.zzz=1", "data.zzz: unknown key (keys here: "),
        (
            "epochs=3",
            "epochs: unknown key; did you mean classifier.epochs or gan.epochs or reference_classifier.epochs?",
        ),
        ("balnce=dcgan", "balnce: unknown key; did you mean balance?"),
        ("clasifier.epochs=3", "clasifier.epochs: unknown key; did you mean classifier.epochs?"),
        ("sed=1", "sed: unknown key; did you mean seed?"),
        ("zzz=1", "zzz: unknown key; --help lists the groups"),
        ("+trainer.limit_batch=1", "trainer.limit_batch: unknown key; did you mean trainer.limit_batches?"),
        (
            "+trainer.max_steps=1",
            "trainer.max_steps: can't be set here: all arms are trained for as many optimizer steps",
        ),
        ("gan.select=last", "gan.select is now gan.checkpoint"),
        ("callbacks.early_stoping.patience=3", "callbacks.early_stoping: unknown key; did you mean callbacks.early_"),
    ],
)
def test_a_wrong_key_is_explained(override, message):
    (line,) = explain_wrong_keys(["-m", "seed=1", override])
    assert line.startswith(message)


@pytest.mark.parametrize(
    "arguments",
    [
        ["seed=1", "accelerator=cpu", "rerun=true", "experiment=paper", "~gan.zzz", "--zzz=1", "-m"],
        ["hydra.zzz=1", "hydra/launcher=joblib", "classifier@reference_classifier=cnn"],
        ["+trainer.gradient_clip_val=1", "trainer.deterministic=true"],
        ["gan._target_=mine.GAN", "+gan.zzz=1"],
        ["+callbacks.mine._target_=my.Callback", "+callbacks.mine.x=1", "logger=[csv,wandb]", "logger.wandb.project=x"],
        ["--config-dir=mine", "+gan.zzz=1", "zzz=1"],
        ["hydra.searchpath=[file://mine]", "+gan.zzz=1"],
        ["data.counts={angry: 5}", "+data.counts.happy=3", "classifier.network.zzz=1", "gan=zzz"],
    ],
)
def test_other_overrides_are_left_to_hydra(arguments):
    assert list(explain_wrong_keys(arguments)) == []


@pytest.mark.parametrize("group", ["data", "balance", "gan", "classifier", "joint", "trainer", "train"])
def test_every_key_of_a_composed_configuration_is_known(compose, group):
    for file in (CONF_DIR / group).glob("*.yaml"):
        keys = set(compose(f"{group}={file.stem}")[group]) - {"_target_"}  # with which nothing would be explained
        assert list(explain_wrong_keys([f"{group}.{key}=1" for key in keys])) == []


def test_it_is_explained_before_torch_is_imported():
    code = (
        "import sys; sys.argv[1:] = ['gan.epoch=5']\n"
        "from fer_experiments.__main__ import _run\n"
        "try: _run()\n"
        "except SystemExit as request: print(request.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"

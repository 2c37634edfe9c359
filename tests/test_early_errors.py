"""What can be known to be wrong without torch is answered before torch is imported, which takes seconds."""

import json
import subprocess
import sys

import pytest
import yaml

from fer_experiments.strict_config import CONF_DIR
from fer_experiments.train.config import GROUPS

HEAVY = {"torch", "lightning", "torchvision", "torchmetrics", "pandas", "sklearn", "scipy", "matplotlib"}
LIST_HEAVY = f"print(*sorted({HEAVY} & {{name.partition('.')[0] for name in sys.modules}}))"
ANSWER_EACH = f"""
import contextlib, io, json, sys
from fer_experiments.__main__ import main
answers = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as request:
            answers.append([request.code, errors.getvalue()])
print(json.dumps(answers))
{LIST_HEAVY}
"""
CASES = {
    "gan.epochs=-3": "gan.epochs=-3: input should be greater than or equal to 1",
    "classifier.batch_size=0": "classifier.batch_size=0: input should be greater than or equal to 1",
    "gan.loss=l1 data.channels=2": "data.channels=2: input should be 1 or 3\ngan.loss='l1': input should be 'bce', "
    "'non_saturating', 'minimax', 'hinge', 'lsgan', 'wgan_gp' or 'relativistic'",
    "gan.diffaugment=colour": "gan.diffaugment='colour': there is no augmentation 'colour'; give one or more of color, "
    "translation, cutout, separated by commas, or null",
    "train=cnn augment=traditional augment.flip=2": "augment.flip=2: input should be less than or equal to 1",
    "train=cnn balance=ldam_drw balance.beta=1": "balance.beta=1: input should be less than 1",
    "joint.threshold=1": "joint.threshold=1: input should be less than 1",
    "trainer.devices=0": "trainer.devices=0: must be how many devices, 1 or more, a list of their numbers such as "
    "[0,2], or auto",
    "trainer.num_nodes=0": "trainer.num_nodes=0: input should be greater than or equal to 1",
    "++trainer.tf32=maybe": "trainer.tf32='maybe': input should be a valid boolean",
    "balance=oversample ++balance.gamma=1 train=cnn": "balance.gamma: there is no such key in balance=oversample; it "
    "is in balance=focal",
    "train.metric=auc": "train.metric='auc': input should be 'accuracy', 'balanced_accuracy', "
    "'macro_f1', 'auroc' or 'average_precision'; did you mean train.metric=auroc?",
    "train.arms=[joint+stron]": "train.arms: joint+stron: conf/augment/ has no stron; did you mean strong? (it has "
    "crop_flip, none, randaugment, strong, traditional, trivialaugment)",
    "train.arms=[dcgan@leek]": "train.arms: dcgan@leek: unknown suffix @leek; only @leak exists, as in dcgan@leak",
    "train=joint augment=randaugment": "augment: joint+randaugment: what a GAN's networks see needs a gradient; use "
    "augment=none, traditional or strong",
    "data=folder": "data.root: Missing mandatory value: root; give it as data.root=VALUE",
    "data=table": "data.table: Missing mandatory value: table; give it as data.table=VALUE",
    "gan.epochs=": "gan.epochs='': input should be a valid integer",
    "~gan.batch_size": "gan.batch_size: is required",
    "gan.epochs=${nothing}": "gan.epochs: Interpolation key 'nothing' not found; give it as gan.epochs=VALUE",
    "seed=${nothing}": "seed: Interpolation key 'nothing' not found; give it as seed=VALUE",
    "train.arms='[none]'": "train.arms='[none]': input should be a valid list; write 'train.arms=[none]'",
    "experiment=paper train=joint": "train.seeds, train.arms: set by experiment=paper "
    "(conf/experiment/paper.yaml) for train=study, "
    "but train=joint has no such key; leave out train=joint, or leave out experiment=paper and give what you need of "
    "it yourself",
    "train=evaluate": "checkpoint=null: train=evaluate measures a trained classifier; give "
    "checkpoint=multirun/RUN, the folder of its training",
    "train=cnn ckpt_path=last": "ckpt_path=last: there is no such file; give multirun/RUN/checkpoints/last.ckpt of "
    "another run, or leave it out: the same command continues its own run",
    "trainer.strategy=ddp_spawn": "trainer: strategy=ddp_spawn: models are trained on one device (auto) or by DDP "
    "(ddp, ddp_find_unused_parameters_true), since every checkpoint holds the whole model; use strategy=auto or "
    "trainer=ddp",
    "train=dcgan trainer.strategy=ddp": "trainer.strategy=ddp: train=dcgan trains a generator, and "
    "the discriminator's step gives the generator no gradient, for which plain DDP waits; use trainer=ddp, which sets "
    "trainer.strategy=ddp_find_unused_parameters_true",
    "train=dcgan +trainer.accumulate_grad_batches=2": "trainer.accumulate_grad_batches=2: train=dcgan trains a "
    "generator, and a GAN updates two networks in every batch; leave it out and use a larger gan.batch_size, or "
    "gan.pretrained for a trained one",
    "reference_classifier.checkpoint=best": "reference_classifier.checkpoint=best: the reference classifier is always "
    "that of the last epoch; use last",
    "classifier.schedule._target_=my.Schedule": "classifier.schedule._target_: can't be set by itself; write all of "
    "classifier.schedule, such as 'classifier.schedule={_target_: torch.optim.lr_scheduler.StepLR, step_size: 300}'",
    "+balance=oversample": "+balance: every run has one; leave out the +",
    "~trainer.limit_batches": "~trainer.limit_batches: there is no such key, or it is null already; leave it out",
    "--resolve": "The --resolve flag can only be used in conjunction with --cfg or --help",
    "--run --cfg job": "Only one of --run, --multirun, --cfg, --info and --shell_completion can be specified",
    "-sc install=csh": "-sc takes install=SHELL or uninstall=SHELL, where SHELL is bash, zsh or fish",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """{command: (exit status, message)}, and the packages that answering all of them has imported."""
    folder = tmp_path_factory.mktemp("answers")
    arguments = json.dumps([command.split() for command in CASES])
    line = [sys.executable, "-c", ANSWER_EACH, arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True, timeout=300)
    written, heavy = done.stdout.split("\n")[:2]
    return dict(zip(CASES, json.loads(written), strict=True)), heavy


@pytest.mark.parametrize("command", CASES)
def test_a_wrong_command_ends_with_its_message(answers, command):
    assert answers[0][command] == [2, f"fer_experiments: {CASES[command]}\n"]


def test_none_of_them_imports_torch_or_other_large_packages(answers):
    assert answers[1] == ""


def test_no_class_that_conf_names_imports_them():
    contents = [yaml.safe_load(file.read_text()) or {} for group in GROUPS for file in CONF_DIR.glob(f"{group}/*.yaml")]
    targets = {
        node["_target_"] for content in contents for node in (content, content.get("train", {})) if "_target_" in node
    }
    assert len(targets) > 25
    modules = sorted({target.rpartition(".")[0] for target in targets})
    code = f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n{LIST_HEAVY}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"

"""The arguments of lightning.Trainer that can be added to conf/trainer, and why the others are refused."""

_OURS = "every training sets it"
_LENGTH = "all arms are trained for as many optimizer steps; use gan.epochs, gan.images_seen or classifier.epochs"
_LIMIT = "use trainer.limit_batches or trainer=smoke"
_EPOCH = "the best epoch is chosen among all, so each of them is validated"
REFUSED = {  # {argument: why it can't be set, or what to use instead}
    "barebones": "it turns off the checkpoints from which a training continues",
    "callbacks": "use +callbacks.NAME._target_=CLASS, or callbacks=early_stopping",
    "check_val_every_n_epoch": _EPOCH,
    "default_root_dir": "it is the folder of the training",
    "enable_autolog_hparams": "config.yaml has all settings",
    "enable_checkpointing": "a training continues from its checkpoints",
    "enable_progress_bar": "use trainer.progress",
    "fast_dev_run": _LIMIT,
    "limit_predict_batches": "results are always measured on all images",
    "limit_test_batches": "results are always measured on all images",
    "limit_train_batches": _LIMIT,
    "limit_val_batches": _LIMIT,
    "logger": "use logger=csv, wandb, mlflow or many",
    "max_steps": _LENGTH,
    "max_time": _LENGTH,
    "min_epochs": _LENGTH,
    "min_steps": _LENGTH,
    "model_registry": "runs are not uploaded",
    "num_sanity_val_steps": _OURS,
    "overfit_batches": _LIMIT,
    "plugins": _OURS,
    "reload_dataloaders_every_n_epochs": _OURS,
    "sync_batchnorm": _OURS,
    "use_distributed_sampler": _OURS,
    "val_check_interval": _EPOCH,
}
ADDABLE = {  # +trainer.deterministic=true
    "accumulate_grad_batches",
    "benchmark",
    "detect_anomaly",
    "deterministic",
    "enable_model_summary",
    "gradient_clip_algorithm",
    "gradient_clip_val",
    "inference_mode",
    "profiler",
}

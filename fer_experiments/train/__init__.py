"""The jobs that `train=` names, and the only code that sees the whole configuration."""

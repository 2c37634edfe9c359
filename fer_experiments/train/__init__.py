"""The jobs that `train=` names, and, beside __main__, the only code that sees the whole configuration."""

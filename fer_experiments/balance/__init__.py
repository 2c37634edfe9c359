"""Balancing strategies: which images, how many generated ones, which loss. None of them imports a GAN."""

from fer_experiments.balance.strategies import ClassWeight, Generate, Oversample, Plan, Strategy, Unchanged

__all__ = ["ClassWeight", "Generate", "Oversample", "Plan", "Strategy", "Unchanged"]

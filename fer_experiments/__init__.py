"""Do GAN-generated images help an imbalanced image classifier?"""

__version__ = "0.1.0"

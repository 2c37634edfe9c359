"""The training of a GAN: shared between jobs, followed, and turned into images."""

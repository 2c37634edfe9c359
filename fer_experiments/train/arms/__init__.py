"""The arms of a comparison: their names, their training images, their training."""

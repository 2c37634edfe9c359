"""Measures of generated images as pure functions of features or pixels."""

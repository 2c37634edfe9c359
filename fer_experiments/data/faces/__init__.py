"""Drawn faces: data that needs no download."""

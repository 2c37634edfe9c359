"""How fast this is beside the loops that people copy from tutorials."""

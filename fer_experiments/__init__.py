"""Do GAN-generated images help an imbalanced image classifier?"""

import os

__version__ = "0.1.0"

# How often a thread of OpenMP looks for new work before it sleeps. GNU's default (300,000 times) is as fast on idle
# cores, but beside another busy process it halves the speed of a training (.github/docs/speed.md). This must be set
# before torch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

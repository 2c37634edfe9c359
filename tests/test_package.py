"""What importing the package sets."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("settings", "spin_count"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_idle_threads_sleep_soon_unless_the_environment_says_otherwise(settings, spin_count):
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"} | settings
    code = "import fer_experiments, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == spin_count

"""Text in pandas' tables as Python's strings: pyarrow, which pandas takes if it is installed, refuses some file names.

Such a name is not valid UTF-8. What makes or reads tables of such names imports this module.
"""

import pandas as pd

pd.set_option("mode.string_storage", "python")

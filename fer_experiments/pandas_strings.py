"""Text in pandas' tables as Python's strings: pyarrow, which pandas takes if it is installed, refuses some file names.

Such a name is not valid UTF-8. Every file that makes a table from names imports this module first.
"""

import pandas as pd

pd.set_option("mode.string_storage", "python")

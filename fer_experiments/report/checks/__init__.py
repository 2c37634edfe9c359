"""The checks of the report: whether the answer of a study can be believed."""

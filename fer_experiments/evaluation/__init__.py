"""What predictions and generated images are worth: metrics, statistics, verdicts, and the records of results."""

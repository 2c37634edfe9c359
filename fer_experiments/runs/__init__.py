"""The life of a run's folder: started, skipped or resumed; its status, its lock, the progress of a sweep."""

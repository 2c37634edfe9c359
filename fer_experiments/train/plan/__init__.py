"""What a job will train and how long that takes, before it begins."""

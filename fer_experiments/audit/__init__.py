"""What generated images are like: measured against real ones, by a reference classifier and in pixels."""

"""What TensorBoard shows beside the curves of a training."""

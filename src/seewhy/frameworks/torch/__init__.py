"""Native PyTorch modules, and Keras models on PyTorch."""

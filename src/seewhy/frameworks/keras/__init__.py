"""What Keras models have in common on every backend."""

"""Models in the ONNX format, which ONNX Runtime runs."""

"""The gradients of ONNX's operators, as ONNX nodes: a file for each family, and the table of all."""

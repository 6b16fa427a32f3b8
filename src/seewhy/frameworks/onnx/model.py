"""An ONNX model, and how it is run."""

from dataclasses import dataclass


@dataclass
class OnnxModel:
    proto: object
    name: str = ""
    providers: tuple = ("CPUExecutionProvider",)
    threads: object = None

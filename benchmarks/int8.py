"""EfficientNet-Lite0 in int8: how far its heatmaps are from those in float32, and what is gained.

    python -m benchmarks.int8

The graph is quantized by ONNX Runtime (static, QDQ, uint8 activations, int8 weights), calibrated on the pictures that
come with SeeWhy. Both run in one thread, in turns; what counts is the processor time, which other programs hardly
change. The heatmaps are Grad-CAM's of the class that the model in float32 finds: the last layer times its weights.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from benchmarks.interleaved import interleave, machine
from benchmarks.results import Row, publish
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import seewhy

ROOT = Path(__file__).parent.parent
WAYS: dict[str, tuple[int, dict[str, Any]]] = {
    "two pictures": (2, {}),
    "all, a scale for each channel": (99, {"per_channel": True}),
    "all, percentiles": (99, {"per_channel": True, "calibrate_method": CalibrationMethod.Percentile}),
}
"""How it is calibrated: on how many pictures, and with which options."""


class Pictures(CalibrationDataReader):
    """Gives one picture after another."""

    def __init__(self, name: str, pictures: NDArray[np.float32]) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.float32]]] = ({name: picture[None]} for picture in pictures)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next one."""
        return next(self._feeds, None)


def main() -> None:
    """Measure, and publish the table."""
    classifier = seewhy.load("efficientnet-lite0", backend="onnx")
    folders = (ROOT / "examples", ROOT / "src" / "seewhy" / "serve" / "page" / "samples")
    paths = sorted(path for folder in folders for path in folder.iterdir() if path.suffix in (".jpg", ".png"))
    pictures = np.asarray(classifier.preprocess([str(path) for path in paths]))
    layer = seewhy.Explainer(classifier, "gradcam").heatmaps(pictures[:1]).layer
    with tempfile.TemporaryDirectory() as folder:
        rows = [_row(way, Path(folder), classifier.model, layer, pictures) for way in WAYS]
    publish("int8", f"EfficientNet-Lite0 in int8, {len(pictures)} pictures", rows, rows, machine("onnxruntime"))


def _row(way: str, folder: Path, proto: onnx.ModelProto, layer: str, pictures: NDArray[np.float32]) -> Row:
    count, options = WAYS[way]
    name = proto.graph.input[0].name
    onnx.save(proto, folder / "float32.onnx")
    quant_pre_process(folder / "float32.onnx", folder / "prepared.onnx")
    quantize_static(
        folder / "prepared.onnx",
        folder / "int8.onnx",
        Pictures(name, pictures[:count]),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        **options,
    )
    prepared = onnx.load(folder / "prepared.onnx")
    matrices = [_array(each) for each in prepared.graph.initializer if sorted(each.dims) == [1000, 1280]]
    weights = matrices[0] if len(matrices[0]) == 1000 else matrices[0].T
    wide, narrow = (_session(model, layer) for model in (prepared, onnx.load(folder / "int8.onnx")))
    found = [(wide.run(None, {name: each[None]}), narrow.run(None, {name: each[None]})) for each in pictures]
    same = sum(int(a[0].argmax() == b[0].argmax()) for a, b in found)
    maps = [[_heatmap(weights[a[0].argmax()], values[-1]) for values in (a, b)] for a, b in found]
    correlations = [float(np.corrcoef(*pair)[0, 1]) for pair in maps]
    calls = {"float32": wide, "int8": narrow}
    variants = {key: (lambda session=each: session.run(None, {name: pictures[:1]})) for key, each in calls.items()}
    times = interleave(variants, 3.0, clock=time.process_time)
    return {
        "calibrated on": way,
        "correlation, median": f"{np.median(correlations):.2f}",
        "correlation, least": f"{min(correlations):.2f}",
        "same top-1": f"{same} of {len(pictures)}",
        **{f"{key}, ms": f"{np.median(each):.1f}" for key, each in times.items()},
    }


def _array(tensor: onnx.TensorProto) -> NDArray[Any]:
    return np.asarray(onnx.numpy_helper.to_array(tensor))


def _heatmap(weights: NDArray[np.float32], activations: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(np.tensordot(weights, activations[0], (0, 0)), 0).ravel()


def _session(model: onnx.ModelProto, layer: str) -> onnxruntime.InferenceSession:
    model.graph.output.append(onnx.ValueInfoProto(name=layer))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()

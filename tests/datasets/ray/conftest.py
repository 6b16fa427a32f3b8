"""A cluster of two machines, simulated on this one; and a data set with a tiny ONNX model, which workers load fast.

`make test-ray` runs these tests. Without Ray they are skipped.
"""

import os

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'seewhy[ray]'")

IMAGES = 60


@pytest.fixture(scope="session")
def cluster():
    """The address of a cluster of two machines with two processors each."""
    from ray.cluster_utils import Cluster

    machine = {"num_cpus": 2, "object_store_memory": 80_000_000}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    machines = Cluster(initialize_head=True, head_node_args={**machine, "include_dashboard": False})
    machines.add_node(**machine)
    yield machines.address
    machines.shutdown()


def model_of(seed):
    """Return a model of images of 32 x 32 and two classes."""
    random = np.random.default_rng(seed)
    shapes = {"kernel": (4, 3, 3, 3), "weight": (4, 2)}
    weights = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32) / 9, name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("image", ["n", 3, 32, 32]), ("logits", ["n", 2]))
    ]
    graph = helper.make_graph(nodes, "tiny", values[:1], values[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """The current folder: with two models, and photos of which 2% cannot be read."""
    folder, random = tmp_path_factory.mktemp("work"), np.random.default_rng(0)
    for seed, name in enumerate(("model.onnx", "other.onnx")):
        onnx.save(model_of(seed), folder / name)
    (folder / "photos").mkdir()
    for number in range(IMAGES):
        path = folder / "photos" / f"{number:03}.png"
        Image.fromarray(random.integers(0, 256, (32, 40, 3)).astype(np.uint8)).save(path)
        if number % 50 == 7:
            path.write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    return folder

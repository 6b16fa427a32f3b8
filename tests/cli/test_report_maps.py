"""`seewhy report --maps`: heatmaps of another tool."""

import json
import re

import numpy as np


def test_a_file_of_maps_becomes_a_report(run_cold, tmp_path, examples):
    file, image, page = tmp_path / "maps.npz", examples / "cat.png", tmp_path / "page.html"
    np.savez(file, cat=np.eye(3), dog=np.ones((2, 5, 5)))
    code, shown, _ = run_cold("report", image, "--maps", file, "--out", page, "--json")
    assert (code, json.loads(shown)["maps"]) == (0, ["cat", "dog 1", "dog 2"])
    entry = json.loads(re.search(r'id="image-0">(.*?)</script>', page.read_text("utf-8"))[1])
    assert [target["name"] for target in entry["explanations"][0]["targets"]] == ["cat", "dog 1", "dog 2"]
    np.save(tmp_path / "map.npy", np.eye(3))
    np.savez(tmp_path / "flat.npz", cat=np.ones(3))
    for wrong, message in (("none.npz", "cannot be read"), ("map.npy", "a single array"), ("flat.npz", "(u, v)")):
        code, _, error = run_cold("report", image, "--maps", tmp_path / wrong, "--out", page)
        assert (code, message in error) == (2, True)

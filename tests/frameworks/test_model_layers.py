"""The layers of a model that a user changes while threads look them up."""

from seewhy.frameworks.model_layers import ModelLayers


def test_layers_that_another_thread_finds_meanwhile_are_returned():
    """A layer is replaced; while this thread reads the structure of the model, another one finds the new layers."""
    model, reads = {"conv": 1}, []

    def structure():
        now = dict(model)
        reads.append(now)
        if len(reads) == 2:
            assert layers.now().by_path == {"conv": 2}  # the other thread is done before this one compares
        return list(now.items())

    layers = ModelLayers(lambda: dict(model), structure)
    model["conv"] = 2
    assert layers.now().by_path == {"conv": 2}

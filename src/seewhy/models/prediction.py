"""A class and its probability."""

from typing import NamedTuple

from seewhy.representation import call_repr


class Prediction(NamedTuple):
    """A class and its probability, in 0..1."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which is not used
    name: str
    probability: float

    def __repr__(self) -> str:
        return call_repr("Prediction", self._asdict())

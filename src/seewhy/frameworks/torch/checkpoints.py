"""Running checkpointed functions plainly.

Activation checkpointing runs a part of a model twice: forward without keeping its intermediate results, and again in
the backward pass. A tap inside such a part, or before it, exists in the first run only: the second would record other
tensors, and gradients would be wrong or missing. So while a model is explained, a checkpointed function is called as if
it were not checkpointed, which gives the same values.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.checkpoint import CheckpointFunction

from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.torch.private_api import CHECKPOINT_HOOK
from seewhy.threads import this_thread


@contextmanager
def without_checkpoints() -> Iterator[None]:
    """Let this thread run checkpointed functions plainly; other threads, which may train, are not affected.

    A model may have imported `torch.utils.checkpoint.checkpoint` by any name. So the classes that it uses are changed:
    the function of autograd with `use_reentrant=True`, and the context manager that keeps no tensors with False.
    """
    apply = _here_and_elsewhere(lambda function, _, *args: function(*args), CheckpointFunction.apply)
    enter = _here_and_elsewhere(lambda hook: hook, CHECKPOINT_HOOK.__enter__)
    leave = _here_and_elsewhere(lambda *_: None, CHECKPOINT_HOOK.__exit__)
    changes: list[tuple[Any, str, Any]] = [
        (CheckpointFunction, "apply", staticmethod(apply)),
        (CHECKPOINT_HOOK, "__enter__", enter),
        (CHECKPOINT_HOOK, "__exit__", leave),
    ]
    own = [vars(kind).get(name) for kind, name, _ in changes]

    def restore() -> None:
        for (kind, name, _), value in zip(changes, own, strict=True):
            if value is not None:
                setattr(kind, name, value)
            elif name in vars(kind):
                delattr(kind, name)

    with restoring(restore):
        for kind, name, value in changes:
            setattr(kind, name, value)
        yield


def _here_and_elsewhere(here: Callable[..., Any], elsewhere: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is `here` in this thread, and `elsewhere` in every other."""
    thread = this_thread()

    def function(*args: Any) -> Any:
        return here(*args) if this_thread() is thread else elsewhere(*args)

    return function

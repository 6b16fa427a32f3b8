"""The tokens of a prompt, from the tokenizer of a model with a text tower.

A tokenizer cuts a text that is too long without saying so. The model would then explain another text than the one that
was given, so that is an error here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seewhy.errors import OptionError, TargetError, short_repr, warn
from seewhy.frameworks.prompts import TextTower, Tokens
from seewhy.frameworks.structures import message_of

FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
"""The exceptions of tokenizers, which may be functions of the caller, for a text that they do not take."""


def check_tokenizer(tokenizer: Any) -> None:
    """Raise OptionError for what is no tokenizer."""
    if tokenizer is not None and not callable(tokenizer):
        raise OptionError(
            f"tokenizer is {short_repr(tokenizer)}; expected a tokenizer or a processor of Hugging Face, what "
            "open_clip.get_tokenizer returns, or a function from a list of texts to an array of tokens (P, L)."
        )


def find_tokenizer(tower: TextTower, name: str) -> Any:
    """Return the tokenizer that lies beside a model of Hugging Face, where it was loaded from; nothing is downloaded.

    Raises:
        OptionError: There is none.
    """
    if tower.source:
        import transformers  # which the model is of

        try:
            return transformers.AutoTokenizer.from_pretrained(
                tower.source, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, ImportError) as error:
            raise _no_tokenizer(name, f", and none was found beside {tower.source}") from error
    raise _no_tokenizer(name, "")


def _no_tokenizer(name: str, where: str) -> OptionError:
    return OptionError(
        f"A prompt has to be turned into tokens, and the model {name!r} was given without its tokenizer{where}. Give "
        "it: seewhy.Classifier(model, tokenizer=...), such as transformers.AutoTokenizer.from_pretrained(...) or "
        "open_clip.get_tokenizer(...)."
    )


def tokenize(tokenizer: Any, text: str, tower: TextTower) -> Tokens:
    """Return the tokens of one text.

    Raises:
        TargetError: The text has more tokens than the model reads, or the tokenizer does not take it.
        OptionError: The tokenizer returned no tokens.
    """
    try:
        inner = _hugging_face_tokenizer(tokenizer)
        if inner is not None:
            return _hugging_face_tokens(inner, text, tower)
        tokens = _checked(tokenizer([text]))
        _check_complete(tokenizer, text, tokens, tower)
    except FAILURES as error:  # such as that of CLIP's authors, which refuses long texts
        what = message_of(error) or type(error).__name__
        raise TargetError(f"The tokenizer does not take the prompt {short_repr(text)}: {what}") from error
    return tokens


def _hugging_face_tokenizer(tokenizer: Any) -> Any:
    """Return a tokenizer of Hugging Face, also that of a processor; None for any other."""
    kinds = _kinds(tokenizer)
    if "ProcessorMixin" in kinds:
        return tokenizer.tokenizer
    return tokenizer if "PreTrainedTokenizerBase" in kinds else None


def _kinds(value: Any) -> set[str]:
    return {base.__name__ for base in type(value).__mro__ if base.__module__.startswith("transformers.")}


def _hugging_face_tokens(tokenizer: Any, text: str, tower: TextTower) -> dict[str, Any]:
    limits = [limit for limit in (tower.context_length, tokenizer.model_max_length) if limit]
    tokens = tokenizer([text], truncation=False, verbose=False)
    if limits:
        _check_length(text, len(tokens["input_ids"][0]), min(limits))
    if tower.pads_texts and limits:
        tokens = tokenizer([text], padding="max_length", max_length=min(limits), truncation=True)
    return {name: np.asarray(values) for name, values in tokens.items()}


def _check_complete(tokenizer: Any, text: str, tokens: Any, tower: TextTower) -> None:
    """Raise TargetError if a tokenizer of open_clip cut the text; warn where a function of the caller seems to have."""
    limit = getattr(tokenizer, "context_length", None) or tower.context_length
    inner = _hugging_face_tokenizer(getattr(tokenizer, "tokenizer", None))
    if inner is not None and limit:
        clean = getattr(tokenizer, "clean_fn", str)
        _check_length(text, len(inner(clean(text), truncation=False, verbose=False)["input_ids"]), limit)
    elif callable(getattr(tokenizer, "encode", None)) and limit:
        _check_length(text, len(tokenizer.encode(text)) + 2, limit)  # with those of the start and the end
    elif not isinstance(tokens, Mapping):
        longer = tokenizer([f"{text} {text}"])  # of words that it surely knows
        if np.shape(longer) == np.shape(tokens) and np.array_equal(np.asarray(longer), np.asarray(tokens)):
            warn(
                f"The prompt {short_repr(text)} fills all tokens that the model reads, or has more: words after it "
                "change nothing. If the tokenizer cut it, shorten it."
            )


def _check_length(text: str, count: int, limit: int) -> None:
    if count > limit:
        raise TargetError(
            f"The prompt {short_repr(text)} has {count} tokens, and the model reads {limit}; the rest would be left "
            "out. Shorten it."
        )


def _checked(tokens: Any) -> Tokens:
    """Return tokens that are an array of whole numbers for one text, or a dict of them."""
    arrays = list(tokens.values()) if isinstance(tokens, Mapping) else [tokens]
    if isinstance(tokens, Mapping):
        tokens = dict(tokens)
    for array in arrays:
        values = np.asarray(array)
        if values.dtype.kind not in "iub" or values.ndim < 1 or len(values) != 1:
            raise OptionError(
                f"The tokenizer returned {short_repr(array)} for a list of one text; expected whole numbers of shape "
                "(1, L), or a dict of them."
            )
    return tokens if isinstance(tokens, dict) or hasattr(tokens, "dtype") else np.asarray(tokens)

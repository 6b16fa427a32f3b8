"""Check the config of a Keras model: does it name only what is on the allow-list, with plain data as constants?

Keras creates whatever a config names, and calls it with the constants in the config while it loads the file. Every JSON
object in a config is checked wherever it stands, because which function of Keras reads it depends on its surroundings.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from seewhy.errors import ModelError, short_repr
from seewhy.models.keras_allowlist import CLASSES, FUNCTIONS, SHORT_CLASS_NAMES

MAX_DEPTH, MAX_VALUES = 200, 1_000_000
"""Limits on a config. Those of the largest models of keras.applications are 12 deep and have 100,000 values."""

MAX_LAYERS = 10_000
"""The largest number of layers. NASNetLarge has 1,041; Keras takes about 20 kB and a millisecond for each."""

COUNTS, MAX_COUNT = ("max_tokens", "ngrams", "num_classes", "num_thresholds"), 10_000_000
"""Numbers for which Keras makes a list when it creates a layer or a metric, and the limit on their sum."""

MAX_CONSTANT, LOOP_LIMITS = 2**20, {"n": 100, "indices_or_sections": 10_000}
"""The largest whole number among the constants of a function, by its name where Keras repeats something that often.
Functions run on the shapes of tensors while a file is loaded, and some make arrays of that length."""

ARRAYS_AND_SLICES = frozenset({"value", "start", "stop", "step"})
"""The keys of the numbers in constant arrays, and of the ends of slices, which may be large."""

MAX_UNLISTED = 1_000
"""The largest number of different unlisted names that are collected."""

TENSOR = "__keras_tensor__"
PLAIN_DATA = frozenset({TENSOR, "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__tuple__"})
"""Class names that stand for data and not for a class; they have no module."""

DTYPES = {"bool", "bfloat16", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2", "string"} | {
    f"{kind}{bits}" for kind, sizes in (("float", (16, 32, 64)), ("int", (4, 8, 16, 32, 64))) for bits in sizes
}
DTYPES |= {f"u{dtype}" for dtype in DTYPES if dtype.startswith("int")}
VOCABULARY_KEYS = ("vocabulary", "idf_weights")
NOT_LAYERS = frozenset(f"keras.{part}" for part in ("initializers", "regularizers", "constraints", "dtype_policies"))
NAMES_OF_NOT_LAYERS = frozenset().union(*(CLASSES[module] for module in NOT_LAYERS)) - CLASSES["keras.layers"]
LEGACY_FUNCTIONS = frozenset({"Input", "deserialize", "get", "keras_export", "serialize"})
"""Strings that Keras replaces by a function of its own, not on the allow-list, in the config of a legacy layer."""


class UnlistedObject(NamedTuple):
    """A class or function that is not on the allow-list.

    Attributes:
        name: Its name, with the module where the config gives one.
        key: The name under which Keras searches the registered objects for it first; None if it does not.
    """

    name: str
    key: str | None


def find_unlisted(config: Any) -> list[UnlistedObject]:
    """Return all classes and functions in a config that are not on the allow-list, each once.

    Raises:
        ModelError: The config contains code, a path that Keras would open, or something else that is never allowed.
    """
    unlisted: dict[UnlistedObject, None] = {}
    layers = total = 0
    for entry, is_constant in _json_objects(config):
        total += sum(_count(entry.get(name)) for name in COUNTS)
        layers += _is_layer(entry)
        if layers > MAX_LAYERS or total > MAX_COUNT:
            what = f"{MAX_LAYERS:,} layers" if layers > MAX_LAYERS else f"{MAX_COUNT:,} as {' and '.join(COUNTS)}"
            raise ModelError(f"it has more than {what}, which would fill the memory")
        if is_constant or str(entry.get("module")).startswith("keras.src.ops"):
            _check_numbers(entry if is_constant else entry.get("config"))
        if "class_name" in entry:
            found = _check_object(entry, is_constant)
            if found is not None:
                unlisted[found] = None
        if len(unlisted) > MAX_UNLISTED:
            raise ModelError(f"it names more than {MAX_UNLISTED} classes and functions that are not Keras's own")
    return list(unlisted)


def check_size(config: Any) -> None:
    """Raise ModelError if a config is nested too deeply, or has too many values."""
    count, stack = 0, [(config, 0)]
    while stack:
        value, depth = stack.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            limit = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"of more than {MAX_VALUES:,} values"
            raise ModelError(f"its JSON is {limit}")
        if isinstance(value, dict):
            count += len(value)
            stack.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            stack.extend((item, depth + 1) for item in value)


def _json_objects(config: Any) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield every JSON object in a config, and whether it stands in a constant that is passed to a layer's call."""
    stack = [(config, False)]
    while stack:
        value, is_constant = stack.pop()
        if isinstance(value, list):
            stack.extend((item, is_constant) for item in value)
        elif isinstance(value, dict):
            yield value, is_constant
            _check_nodes(value.get("inbound_nodes"))
            constant_keys = ("inbound_nodes", "arguments") if "function" in value else ("inbound_nodes",)
            stack.extend((item, is_constant or key in constant_keys) for key, item in value.items())


def _check_numbers(constants: Any) -> None:
    """Raise ModelError for numbers among the constants of a function with which loading takes gigabytes or hours."""
    for name, value in constants.items() if isinstance(constants, dict) else ():
        if name in ARRAYS_AND_SLICES:
            continue
        limit, stack = LOOP_LIMITS.get(name, MAX_CONSTANT), [value]
        while stack:
            number = stack.pop()
            if isinstance(number, list):
                stack.extend(number)
            elif isinstance(number, int) and abs(number) > limit:
                raise ModelError(
                    f"it calls a function with a number as large as {short_repr(number)}; expected {limit:,}"
                )


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 < value < math.inf else 0


def _is_layer(entry: dict[str, Any]) -> bool:
    """Whether an object may be a layer: all are but data, functions, and what is known to be something else."""
    name, module = entry.get("class_name"), entry.get("module")
    if not isinstance(name, str) or name in PLAIN_DATA or name == "function":
        return False
    if name in NAMES_OF_NOT_LAYERS or name.endswith("DTypePolicy"):
        return False
    return module not in NOT_LAYERS


def _check_nodes(nodes: Any) -> None:
    """Raise ModelError if a call of a layer has no tensor among its arguments: Keras would run it while loading."""
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, dict) and not _has_tensor(node):
            raise ModelError("it calls a layer on constants only, which would run while the file is loaded")


def _has_tensor(node: dict[str, Any]) -> bool:
    """Whether a tensor is where Keras finds it: in lists and dictionaries, and not in other objects."""
    arguments, keywords = node.get("args"), node.get("kwargs")
    if not isinstance(arguments, list) or not isinstance(keywords, dict) or "class_name" in keywords:
        return False
    stack = [arguments, *(value for key, value in keywords.items() if key != "training")]  # which Keras may drop
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            if value.get("class_name") == TENSOR:
                return True
            if "class_name" not in value:
                stack.extend(value.values())
    return False


def _check_object(entry: dict[str, Any], is_constant: bool) -> UnlistedObject | None:
    """Check one object; return it if it is not on the allow-list."""
    name, module, config = entry["class_name"], entry.get("module"), entry.get("config")
    if not isinstance(name, str) or not (module is None or isinstance(module, str)):
        raise ModelError(f"it names the class {name!r} of the module {module!r}; expected strings")
    if name == "__lambda__" or (name == "Lambda" and not _has_named_function(config)):
        raise ModelError("it contains a Lambda layer, whose Python code would run on this machine")
    if name in PLAIN_DATA and not module:
        _check_dtype(config)
        return None
    shown = f"{module}.{name}" if module else name
    if name == "function":
        return _check_function(entry, is_constant)
    if is_constant:
        raise ModelError(f"it passes {shown} as a constant to a layer; expected plain data")
    _check_class_config(name, module, config)
    registered = entry.get("registered_name", name)
    is_listed = name in CLASSES.get(module, ()) if module else name in SHORT_CLASS_NAMES
    if is_listed and registered in (None, name):
        return None
    key = registered if module else registered or name
    return UnlistedObject(shown, key if isinstance(key, str) else None)


def _check_function(entry: dict[str, Any], is_constant: bool) -> UnlistedObject | None:
    name, module, registered = entry.get("config"), entry.get("module"), entry.get("registered_name")
    shown = f"{module}.{name}" if module and module != "builtins" else f"{name}"
    if is_constant:
        raise ModelError(f"it passes {shown} as a constant to a layer; expected plain data")
    if not isinstance(name, str) or registered not in (None, name, "function"):
        raise ModelError(f"it names the function {shown} a second time as {registered!r}")
    modules = ("keras.activations",) if module == "builtins" else (module,)
    if any(name in FUNCTIONS.get(listed or "", ()) for listed in modules):
        return None
    return UnlistedObject(shown, name)


def _has_named_function(config: Any) -> bool:
    function = config.get("function") if isinstance(config, dict) else None
    return isinstance(function, dict) and function.get("class_name") == "function"


def _check_class_config(name: str, module: str | None, config: Any) -> None:
    """Raise ModelError for strings that make Keras open a file, or that it replaces by a function."""
    if not isinstance(config, dict):
        return
    for key in VOCABULARY_KEYS:
        if not (config.get(key) is None or isinstance(config[key], list)):
            raise ModelError(f"the {key} of its layer {name} is a path, which would be read; expected a list")
    if not module:
        for key, value in config.items():
            if key != "name" and isinstance(value, str) and value in LEGACY_FUNCTIONS:
                raise ModelError(f"it names the function keras.layers.{value}")


def _check_dtype(config: Any) -> None:
    dtype = config.get("dtype") if isinstance(config, dict) else None
    if not (dtype is None or (isinstance(dtype, str) and dtype in DTYPES)):
        raise ModelError(f"it contains an array of the type {dtype!r}; expected one of {', '.join(sorted(DTYPES))}")

"""The stem of a model in a jaxpr."""

from seewhy.frameworks.jax.trunk_and_head import Jaxpr, JaxprEqn, Var, variables
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.layouts import spatial_axes
from seewhy.frameworks.stem import StemInput, has_positions, moving_operation

Names = dict[Var, frozenset[str]]


def find_stem_inputs(jaxpr: Jaxpr, image: Var, tapped: Var, call: LayerCall) -> list[StemInput]:
    """Return what the stem receives, as far as the tapped output depends on it.

    Args:
        jaxpr: The model.
        image: Its input that is followed; every other is no image.
        tapped: The output of a layer; the only result if no convolution precedes it.
        call: The call of that layer.
    """
    moved: Names = {image: frozenset()}
    weights = set(jaxpr.invars) - {image}
    found: list[StemInput] = []
    for equation in _between(jaxpr, tapped):
        images = [atom for atom in variables(equation) if atom in moved]
        if images and _is_stem(equation, moved, weights):
            found += [
                StemInput(image, image.aval.shape, *window, moved[image])
                for image in images
                if image.aval.ndim == 4 and (window := _window(equation)) is not None
            ]
        elif images:
            names = frozenset().union(moving_operation(equation.primitive.name), *(moved[image] for image in images))
            moved.update((variable, names) for variable in equation.outvars if _is_image(variable))
        if not weights.isdisjoint(variables(equation)):
            weights.update(equation.outvars)
    if tapped in moved:
        if tapped.aval.ndim != 4:
            return []
        rows, columns = spatial_axes(call, 4)
        return [StemInput(tapped, tapped.aval.shape, (rows, columns), (1, 1), moved[tapped])]
    return found


def _between(jaxpr: Jaxpr, tapped: Var) -> list[JaxprEqn]:
    """Return the equations that lead to the tapped output."""
    needed, equations = {tapped}, []
    for equation in reversed(jaxpr.eqns):
        if not needed.isdisjoint(equation.outvars):
            needed |= variables(equation)
            equations.append(equation)
    return equations[::-1]


def _is_image(variable: Var) -> bool:
    return variable.aval.dtype != bool and has_positions(variable.aval.shape)


def _is_stem(equation: JaxprEqn, moved: Names, weights: set[Var]) -> bool:
    """Whether an equation combines the values of several positions for a feature.

    A product of the image and a constant does not: JAX resizes images so.
    """
    name: str = equation.primitive.name
    if name == "dot_general":
        others = [atom for atom in variables(equation) if atom not in moved]
        return not weights.isdisjoint(others) or (len(variables(equation)) == 2 and not others)
    return name == "conv_general_dilated" or name.startswith("reduce_window")


def _window(equation: JaxprEqn) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the axes of rows and columns, and how many of them an equation reads for one output."""
    parameters = equation.params
    if equation.primitive.name == "dot_general":
        return (1, 2), (1, 1)
    if equation.primitive.name != "conv_general_dilated":
        sizes = parameters.get("window_dimensions", (1, 1, 1, 1))
        axes = (2, 3) if sizes[1] == 1 and sizes[3] > 1 else (1, 2)
        return axes, (sizes[axes[0]], sizes[axes[1]])
    numbers, kernel = parameters["dimension_numbers"], equation.invars[1].aval.shape
    sizes = [
        (kernel[axis] - 1) * dilation + 1
        for axis, dilation in zip(numbers.rhs_spec[2:], parameters["rhs_dilation"], strict=True)
    ]
    return (numbers.lhs_spec[2], numbers.lhs_spec[3]), (sizes[0], sizes[1])

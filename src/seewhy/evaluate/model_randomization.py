"""Model parameter randomisation (Adebayo et al., NeurIPS 2018)."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import ModelError, OptionError, short_repr
from seewhy.evaluate.correlation import similarities, similarity_of
from seewhy.evaluate.curve import Curve
from seewhy.evaluate.explained_images import EXPLAINED_AT_ONCE, ExplainedImages, check_explainer, explained_batches
from seewhy.evaluate.model_scores import ImagesLike, RunningModel, image_list, running_model
from seewhy.explainer import Explainer
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.structures import InputBatch
from seewhy.methods.checks import integer
from seewhy.targets import Objective, Target, TargetSpec
from seewhy.types import DoubleArray

Mode = Literal["cascading", "independent"]
"""The layers from the output down to one of them are randomised; or one of them alone."""

STAGES = 8


def model_randomization(
    explainer: Explainer,
    images: ImagesLike,
    targets: TargetSpec = "top-1",
    *,
    mode: Mode = "cascading",
    stages: int = STAGES,
    similarity: str = "spearman",
    batch_size: int = EXPLAINED_AT_ONCE,
    seed: int = 0,
) -> DoubleArray:
    """Return how similar a heatmap stays while the weights of the model become random.

    Section 3 of the paper, with L the heatmap of the model and L_s that of the model whose last s parts are random,
    or, with `mode="independent"`, whose part s is:

        similarity = mean_s corr( |L_s|, |L| )

    A heatmap that does not change does not explain the model. Lower is better.

    The kernels and matrices of a layer are drawn anew from a normal distribution with their mean and standard
    deviation, cut off at two standard deviations; biases and the scales of normalisations are left as they are. The
    draws depend on the position of a kernel from the output and on nothing that a framework decides, so a model has the
    same value in each; a model whose normalisations were folded into its kernels has other kernels. Layers on
    which the scores do not depend are left out, and prompts keep their embeddings. The layers are put together into
    parts with about as many layers each. The model gets its own weights back, bit for bit, also when
    this is interrupted; until then, no other thread may use a Keras model.

    Args:
        explainer: Makes the heatmaps. The method and the layer are those of the model with its own weights.
        images: Paths, PIL images or uint8 arrays (H, W, 3); or preprocessed inputs, floats (N, ...).
        targets: As for `Explainer.explain`. "top-1" is the top class of the model with its own weights.
        mode: "cascading" randomises from the output to the input; "independent" each part alone.
        stages: The number of parts, as many as there are layers with kernels at most.
        similarity: "spearman", as in the paper, the correlation of the ranks of absolute values; "pearson"; or "ssim".
            Heatmaps are compared at the size of the input.
        batch_size: How many images, or perturbations of an image, run at once.
        seed: The seed of the random weights.

    Returns:
        float64 (N, T), at most 1; NaN for a heatmap of zeros. With a heatmap of zeros of a random model the similarity
        is 0.

    Raises:
        ModelError: No layer of the model has a kernel or matrix.
        SeewhyError: As for `Explainer.explain`.

    Reference:
        Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, arXiv 1810.03292.
    """
    return randomization_curve(
        explainer,
        images,
        targets,
        mode=mode,
        stages=stages,
        similarity=similarity,
        batch_size=batch_size,
        seed=seed,
    ).values


def independent_randomization(
    explainer: Explainer,
    images: ImagesLike,
    targets: TargetSpec = "top-1",
    *,
    stages: int = STAGES,
    similarity: str = "spearman",
    batch_size: int = EXPLAINED_AT_ONCE,
    seed: int = 0,
) -> DoubleArray:
    """Return `model_randomization` with `mode="independent"`, whose arguments these are."""
    return model_randomization(
        explainer,
        images,
        targets,
        mode="independent",
        stages=stages,
        similarity=similarity,
        batch_size=batch_size,
        seed=seed,
    )


def randomization_curve(
    explainer: Explainer,
    images: ImagesLike,
    targets: TargetSpec = "top-1",
    *,
    mode: Mode = "cascading",
    stages: int = STAGES,
    similarity: str = "spearman",
    batch_size: int = EXPLAINED_AT_ONCE,
    seed: int = 0,
) -> Curve:
    """Return the similarity over the share of the layers, from the output; the arguments are the same.

    x is the share of layers above and in the part that was randomised last.
    """
    compare = similarity_of(similarity)
    if mode not in ("cascading", "independent"):
        raise OptionError(f"mode is {short_repr(mode)}; expected 'cascading' or 'independent'.")
    all_images = image_list(images)
    model = running_model(check_explainer(explainer), score=explainer.score, batch_size=batch_size)
    first, target = model.inputs(all_images[:1]), model.objective(targets).target
    target.check_images(len(all_images))
    target = target.slice_images(0, 1)
    parts = layer_parts(explainer, first, target, integer("stages", stages))
    # The layer and the method that "auto" takes for the model with its own weights.
    heatmaps = explainer.heatmaps(first, target)
    explainer = explainer.fix_choices(explainer.method_of(heatmaps), heatmaps.layer)
    values: list[DoubleArray] = []
    for batch in explained_batches(explainer, all_images, targets, batch_size=batch_size):
        own = np.abs(batch.on_input(batch.heatmaps))
        rows = []
        for kernels in random_stages(explainer.framework.kernels(), parts, mode, seed):
            others = np.abs(np.nan_to_num(_explain_with(explainer, kernels, batch)))
            # The correlation with a map of zeros is not defined; nothing of the heatmap is left in it.
            rows.append(
                np.where(np.isnan(own).all(axis=(2, 3)), np.nan, np.nan_to_num(similarities(compare, own, others)))
            )
        values.append(np.stack(rows, axis=-1))
    layers = np.cumsum([len(part) for part in parts])
    return Curve(
        layers / layers[-1], np.concatenate(values), "share of layers from the output", f"similarity, {similarity}"
    )


def random_stages(
    kernels: Kernels, parts: Sequence[Sequence[str]], mode: Mode, seed: int
) -> Iterator[dict[str, tuple[NDArray[np.float32], ...]]]:
    """Yield the random kernels of each stage, by layer. A layer has the same ones in every stage and mode.

    Each kernel has a seed of its own, by its position from the output, which is the same in every framework.
    """
    changed: dict[str, tuple[NDArray[np.float32], ...]] = {}
    position = 0
    for part in parts:
        changed = {} if mode == "independent" else dict(changed)
        for path in part:
            drawn = []
            for kernel in reversed(kernels[path]):  # of a separable convolution, the last one is nearest to the output
                drawn.append(random_like(kernel, np.random.default_rng((seed, position))))
                position += 1
            changed[path] = tuple(reversed(drawn))
        yield changed


def random_like(array: NDArray[np.generic], random: np.random.Generator) -> NDArray[np.float32]:
    """Draw an array of a normal distribution with an array's mean and deviation, cut off at two deviations."""
    values = array.astype(np.float64)
    drawn = random.standard_normal(values.shape)
    while (beyond := np.abs(drawn) > 2).any():
        drawn[beyond] = random.standard_normal(int(beyond.sum()))
    return np.asarray(values.mean() + values.std() * drawn, dtype=np.float32)


def _explain_with(explainer: Explainer, kernels: Kernels, batch: ExplainedImages) -> DoubleArray:
    with explainer.framework.with_kernels(kernels) as framework, explainer.classifier.holding_prompts():
        return batch.on_input(batch.explain(batch.pixels, explainer.with_framework(framework)))


def layer_parts(explainer: Explainer, inputs: InputBatch, target: Target, stages: int) -> list[list[str]]:
    """Return the layers with kernels, from the output to the input, in parts of about as many layers each.

    Layers on which the scores do not depend are left out, such as a head of training, a text tower, and the head of
    another output: an exported model does not have them.

    Raises:
        ModelError: There is none.
    """
    framework = explainer.classifier.framework  # which runs other kernels at once, where a backend exports them
    order = {call.path: position for position, call in enumerate(framework.calls(inputs))}
    kernels = framework.kernels()
    # A module whose weights others read, as in attention, is not called, and takes part all the same.
    doubtful = [path for path in kernels if path not in order or explainer.output is not None]
    idle = _idle_layers(explainer, inputs, target, {path: kernels[path] for path in doubtful})
    paths = sorted(kernels.keys() - idle, key=lambda path: order.get(path, -1), reverse=True)
    if not paths:
        raise ModelError("No layer of the model has a kernel or a matrix, so its weights cannot be randomised.")
    return [part.tolist() for part in np.array_split(np.array(paths, dtype=object), min(stages, len(paths)))]


def _idle_layers(explainer: Explainer, inputs: InputBatch, target: Target, kernels: Kernels) -> set[str]:
    """Return the layers on whose kernels the scores do not depend."""
    classifier, idle = explainer.classifier, set()
    objective = Objective(target, explainer.score, explainer.output)
    own, _ = RunningModel(classifier, classifier.framework, explainer.score, explainer.output, 1).scores(
        inputs, objective
    )
    for path, arrays in kernels.items():
        drawn = tuple(random_like(array, np.random.default_rng(0)) for array in arrays)
        with classifier.framework.with_kernels({path: drawn}) as framework:
            changed = RunningModel(classifier, framework, explainer.score, explainer.output, 1)
            if np.array_equal(changed.scores(inputs, objective)[0], own):
                idle.add(path)
    return idle


def randomization_explanations(*, stages: int = STAGES, **_: object) -> int:
    """Return the explanations of an image: one for each stage, and that of the model with its own weights."""
    return stages + 1

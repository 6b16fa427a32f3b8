"""Error messages in the words of the command line: they name commands and options, and not Python's arguments."""

WORDS = {
    "seewhy.Classifier(model, class_names=[...])": "--class-names FILE",
    "Give a name for each class: class_names=[...].": "Give a name for each class: --class-names FILE.",
    "which may be the background: class_names=[...].": "which may be the background: --class-names FILE.",
    "if it is a logit, class_names=['background', ...]; or give a seewhy.targets.Region,": "if it is a logit, the "
    "background first: --class-names FILE. Or, in Python, give a seewhy.targets.Region,",
    "seewhy.Classifier(model, preprocess=..., input_size=(224, 224))": "--input-size 224",
    "seewhy.Classifier(model, input_size=(224, 224))": "--input-size 224",
    "seewhy.Classifier(model, input_size=(32, 64, 64))": "--input-size 32x64x64",
    "Give a seewhy.Volume, a seewhy.Video, or the path of one.": "Give the path of a volume or a video.",
    "Give a seewhy.Signal, or the path of one.": "Give the path of a signal.",
    "Give the preprocessing: seewhy.Classifier(model, preprocess=...); for a model that takes 0..255, "
    "seewhy.Preprocessing(size=(height, width)).": "Give the preprocessing, such as --preprocessing imagenet; for a "
    "model that takes 0..255, --preprocessing 0..255.",
    "Explainer.layers lists": "'seewhy layers MODEL' lists",
    "layer='auto'": "--layer auto",
    "Leave layer= out": "Leave --layer out",
    "precision='bfloat16'": "--precision bfloat16",
    "score='probability'": "--score probability",
    "Name one with output=...:": "Name one in Python, Explainer(model, output=...):",
    "seewhy.methods.get('guided_backprop', others='pass')": "--method guided_backprop --set others=pass",
    "trust=True (--trust on the command line)": "--trust",
    "label_by_folder=True": "--label-by-folder",
    "resume=True": "--resume",
    "executor='ray'": "--executor ray",
    "executor='local'": "--executor local",
    "cpus_per_worker=": "--cpus-per-worker",
    "gpus_per_worker=": "--gpus-per-worker",
    "workers=": "--workers",
    "address=": "--address",
    "heatmaps='float32'": "--heatmaps float32",
    "label_by_folder=": "--label-by-folder",
    "image_column=": "--image-column",
    "label_column=": "--label-column",
    "key_column=": "--key-column",
    "with images=": "with --images",
    "tokens=seewhy.TokenGrid(prefix=..., grid=(h, w))": "--tokens HxW,prefix=N",
    "Leave tokens= out": "Leave --tokens out",
    "Leave out backend= or device=.": "Leave out --backend or --device.",
    "leave out device=": "leave out --device",
    "Leave out backend.": "Leave out --backend.",
    "preprocess=True": "--preprocess",
    "place=True": "--place",
    "tolerance=...": "--tolerance",
    "targets='top-5'": "--targets top-5",
    "or a region: seewhy.targets.Region(": "or, in Python, a region: seewhy.targets.Region(",
    "use Explainer.heatmaps": "use Explainer.heatmaps in Python",
}
"""What messages say of the Python interface, and what they say on the command line."""

IN_PYTHON = ("seewhy.Classifier(", "seewhy.Preprocessing")
"""What only Python can make."""


def command_line_message(error: Exception | str) -> str:
    """Return the message of an error or a warning in the words of the command line."""
    message = str(error)
    for python, words in WORDS.items():
        message = message.replace(python, words)
    if any(name in message for name in IN_PYTHON):
        message += " On the command line, --model package.module:function calls a function that returns a Classifier."
    return message

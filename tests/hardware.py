"""What the machine that runs the tests can do: tests of what it cannot are skipped, for the reason in the message."""

import pytest

from seewhy.errors import OptionError


def skip_unless_tensorflow_runs_bfloat16():
    """Skip the test where TensorFlow refuses bfloat16 on this processor."""
    from seewhy.frameworks.tensorflow.precision import check_bfloat16

    try:
        check_bfloat16()
    except OptionError as error:
        pytest.skip(str(error))

import pytest

from seewhy.cli.method_options import parse_methods
from seewhy.errors import MethodError, OptionError
from seewhy.methods import METHODS


def test_several_methods_separated_by_commas():
    assert [method.name for method in parse_methods("hirescam, gradcam", [])] == ["hirescam", "gradcam"]
    assert parse_methods("gradcam", []) == (METHODS["gradcam"],)


def test_each_method_gets_the_settings_that_it_has():
    rise, guided = parse_methods("rise,guided_backprop", ["masks=50", "others=pass"])
    assert rise.options["masks"] == 50
    assert guided.gradient_rule == "guided-where-relu"
    assert METHODS["rise"].options["masks"] == 4000


@pytest.mark.parametrize(
    ("names", "settings", "error", "message"),
    [
        ("gradcam,gradcan", [], MethodError, "Unknown method 'gradcan'. Did you mean 'gradcam'"),
        (" , ", [], MethodError, "Unknown method ' , '"),
        ("layercam", ["masks=3"], OptionError, "Unknown option 'masks' in --set: layercam has no options"),
        ("guided_backprop", ["others=maybe"], OptionError, "others is 'maybe'; expected 'refuse' or 'pass'"),
        ("rise", ["masks=many"], OptionError, "masks is 'many' in --set; expected a value such as 4000"),
        ("rise", ["centred=no"], OptionError, "centred is 'no' in --set; expected a value such as True"),
        ("gradcam", ["masks"], OptionError, "Cannot set 'masks'; expected NAME=VALUE"),
        ("gradcam", ["=3"], OptionError, "Cannot set '=3'; expected NAME=VALUE"),
    ],
)
def test_wrong_methods_and_settings(names, settings, error, message):
    with pytest.raises(error, match=message):
        parse_methods(names, settings)

import pytest

from seewhy import ClassNames
from seewhy.errors import TargetError
from seewhy.models.class_names import imagenet


@pytest.mark.parametrize(
    "query",
    [282, "282", "tiger cat", "tiger_cat", "Tiger-Cat", " tiger  cat ", "n02123159"],
)
def test_every_way_to_say_tiger_cat(query):
    assert imagenet().find(query) == 282


def test_a_synonym_is_as_good_as_a_name():
    assert imagenet().find("tabby cat") == 281
    assert imagenet().find("great_white_shark") == imagenet().find("man-eater") == 2


def test_a_first_name_wins_over_another_s_synonym():
    """744 is 'projectile, missile'; 657 is 'missile'."""
    assert imagenet().find("missile") == 657


@pytest.mark.parametrize(
    ("name", "both"),
    [
        ("crane", r"134 \(crane, n02012849\), 517 \(crane, n03126707\)"),
        ("maillot", r"638 \(maillot, n03710637\), 639 \(maillot, n03710721\)"),
        ("Cardigan", r"264 \(Cardigan, n02113186\), 474 \(cardigan, n02963159\)"),
        ("panda", r"387 \(lesser panda, n02509815\), 388 \(giant panda, n02510455\)"),
    ],
)
def test_an_ambiguous_name_is_refused_with_both_indices(name, both):
    with pytest.raises(TargetError, match=f"2 classes could be meant by {name!r}: {both}. Give the index."):
        imagenet().find(name)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(TargetError, match=r"There is no class 'tabbby'. Did you mean 'tabby'.* \(0 to 999\)"):
        imagenet().find("tabbby")


@pytest.mark.parametrize("index", [-1, 1000, "1000"])
def test_an_index_outside(index):
    with pytest.raises(TargetError, match=r"There is no class '?-?\d+'?.*(0 to 999|classes 0 to 999)"):
        imagenet().find(index)


def test_names_that_are_numbers():
    digits = ClassNames([str(digit) for digit in range(10)])
    assert digits.find("7") == 7
    backwards = ClassNames(["1", "0"])
    with pytest.raises(TargetError, match=r"2 classes could be meant by '1': 0 \(1\), 1 \(0\)"):
        backwards.find("1")
    assert ClassNames(["7", "9"]).find("9") == 1


def test_a_comma_in_a_name_of_one_s_own_is_part_of_it():
    assert ClassNames(["red, ripe", "green"]).find("red, ripe") == 0
    with pytest.raises(TargetError):
        ClassNames(["red, ripe", "green"]).find("ripe")


def test_all_of_imagenet():
    names = imagenet()
    assert len(names) == len(names.ids) == len(set(names.ids)) == 1000
    assert (names[0], names[999], names.ids[999]) == ("tench", "toilet tissue", "n15075141")
    assert all(names.find(wnid) == index for index, wnid in enumerate(names.ids))


def test_as_many_ids_as_names():
    with pytest.raises(TargetError, match="2 class names and 1 ids"):
        ClassNames(["a", "b"], ids=["x"])

import pytest

from seewhy import ClassNames
from seewhy.errors import TargetError
from seewhy.models.class_names import imagenet, split_names


@pytest.mark.parametrize(
    "query",
    [282, "282", "tiger cat", "tiger_cat", "Tiger-Cat", " tiger  cat ", "n02123159"],
)
def test_spellings_of_tiger_cat(query):
    assert imagenet().find(query) == 282


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red, a square", ["red, a square"]),
        ("Red, a_square,green", ["Red, a_square", "green"]),
        ("green,red, a square,red", ["green", "red, a square", "red"]),
        ("a, b, c,a, b", ["a, b, c", "a, b"]),
        ("red,square", ["red", "square"]),
        (" red,, ,", ["red"]),
        ("", []),
    ],
)
def test_a_known_name_with_commas_stays_whole(text, expected):
    assert split_names(text, ["red, a square", "green", "a, b", "a, b, c"]) == expected
    assert split_names(text) == [part.strip() for part in text.split(",") if part.strip()]


def test_a_class_is_found_by_a_synonym():
    assert imagenet().find("tabby cat") == 281
    assert imagenet().find("great_white_shark") == imagenet().find("man-eater") == 2


def test_a_first_name_takes_precedence_over_a_synonym_of_another_class():
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
def test_an_ambiguous_name_is_an_error_that_lists_the_indices(name, both):
    with pytest.raises(TargetError, match=f"{name!r} matches 2 classes: {both}. Give the index."):
        imagenet().find(name)


def test_an_unknown_name_is_an_error_that_suggests_similar_names():
    with pytest.raises(TargetError, match=r"There is no class 'tabbby'. Did you mean 'tabby'.* \(0 to 999\)"):
        imagenet().find("tabbby")


@pytest.mark.parametrize("index", [-1, 1000, "1000"])
def test_an_index_out_of_range(index):
    with pytest.raises(TargetError, match=r"There is no class '?-?\d+'?.*(0 to 999|classes 0 to 999)"):
        imagenet().find(index)


def test_names_that_are_numbers():
    digits = ClassNames([str(digit) for digit in range(10)])
    assert digits.find("7") == 7
    swapped = ClassNames(["1", "0"])
    with pytest.raises(TargetError, match=r"'1' matches 2 classes: 0 \(1\), 1 \(0\)"):
        swapped.find("1")
    assert ClassNames(["7", "9"]).find("9") == 1


def test_a_comma_in_a_name_does_not_separate_synonyms():
    assert ClassNames(["red, ripe", "green"]).find("red, ripe") == 0
    with pytest.raises(TargetError):
        ClassNames(["red, ripe", "green"]).find("ripe")


def test_all_of_imagenet():
    names = imagenet()
    assert len(names) == len(names.ids) == len(set(names.ids)) == 1000
    assert (names[0], names[999], names.ids[999]) == ("tench", "toilet tissue", "n15075141")
    assert all(names.find(wnid) == index for index, wnid in enumerate(names.ids))


def test_the_number_of_ids_must_be_that_of_names():
    with pytest.raises(TargetError, match="2 class names and 1 ids"):
        ClassNames(["a", "b"], ids=["x"])


def test_a_class_by_the_list_of_its_names():
    """As in the lists of ImageNet's classes that other libraries come with."""
    names = imagenet()
    assert names.find("tabby, tabby cat") == names.find("tabby_cat,tabby") == 281
    assert names.find("maillot, tank suit") == 639
    assert names.find("projectile, missile") == 744
    lists = {index: ", ".join(synonyms) for index, synonyms in enumerate(names.synonyms) if len(synonyms) > 1}
    assert len(lists) == 492
    assert all(names.find(each) == index for index, each in lists.items())


def test_a_list_of_names_of_different_classes_is_no_class():
    with pytest.raises(TargetError, match="There is no class 'tabby, lynx'"):
        imagenet().find("tabby, lynx")
    with pytest.raises(TargetError, match="There is no class ','"):
        imagenet().find(",")


def test_all_names_of_a_class():
    assert imagenet().all_names(281) == ("tabby", "n02123045", "tabby", "tabby cat")
    assert ClassNames(["cat", "dog"]).all_names(1) == ("dog",)


def test_a_shown_name_is_found_again():
    names = imagenet()
    shown = [names.unique_name(index) for index in range(len(names))]
    assert [names.find(name) for name in shown] == list(range(1000))
    assert {name for name in shown if "(" in name} == {
        *("crane (134)", "crane (517)", "maillot (638)", "maillot (639)", "Cardigan (264)", "cardigan (474)")
    }


def test_a_name_that_is_the_index_of_another_class():
    names = ClassNames(["1", "0", "2", "two"])
    assert [names.unique_name(index) for index in range(4)] == ["1 (0)", "0 (1)", "2", "two"]
    assert [names.find(names.unique_name(index)) for index in range(4)] == [0, 1, 2, 3]


def test_a_number_in_a_name_is_part_of_the_name():
    names = ClassNames(["crane", "crane (0)", "crane (7)"])
    assert [names.find(name) for name in ("crane", "crane (0)", "crane (7)")] == [0, 1, 2]
    for query in ("crane (2)", "crane (9)", "cat (0)"):
        with pytest.raises(TargetError, match="There is no class"):
            names.find(query)

"""The tensors of a graph that everything passes on the way from the inputs to the results."""

from seewhy.frameworks.dataflow import Operation, carriers, links


def found(*operations, results="z"):
    return "".join(sorted(carriers([Operation(read, made) for read, made in operations], "a", results)))


def test_a_chain():
    assert found("ab", "bc", "cz") == "abcz"


def test_a_skip_connection_bypasses_what_is_beside_it():
    assert found("ab", "bc", "cd", ("bd", "e"), "ez") == "abez"


def test_a_branch_that_begins_later_in_the_order_bypasses_too():
    assert found("ab", "bc", "ad", ("cd", "z")) == "az"


def test_weights_and_what_no_result_needs_bypass_nothing():
    assert found("ab", ("bw", "c"), "bx", "cz") == "abcz"
    assert found("ab", "bc", "cz", "bx") == "abcz"


def test_several_results_are_all_read():
    assert found("ab", "bc", "bz", results="cz") == "ab"


def test_an_operation_with_two_results():
    assert found(("a", "bc"), "bz") == "abz"
    assert found(("a", "bc"), ("bc", "z")) == "az"


def test_links_are_from_a_result_to_the_next_step_s_read():
    operations = [Operation(*pair) for pair in ["ab", ("ab", "c"), "cd", "ae", "ef"]]
    assert links(operations, "bdf", "acc") == (True, False)  # c is computed from b, and not from d
    assert links(operations, "bdf", "abd") == (True, True)  # what is read may be the result itself
    assert links(operations, "fbd", "aac") == (False, True)
    assert links(operations, "bdf", "afa") == (False, False)  # of a later step, and not of the one before
    assert links(operations, "b", "a") == ()

from reranker.evaluation import segments
from reranker.evaluation.judgements import Case


def case(target: str, *, bought_before: bool = False) -> Case:
    return Case("u", ("q",), target, bought_before)


def test_cases_are_parted_by_what_the_shopper_and_the_shop_knew() -> None:
    cases = [case("a", bought_before=True), case("b"), case("c")]
    masks = segments.of_cases(cases, ["bag", "bag", "lamp"], known_items={"a", "b"})
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "new_to_shopper": [False, True, True],
        "bought_before": [True, False, False],
        "head_queries": [True, True, False],
        "tail_queries": [False, False, True],
        "new_items": [False, False, True],
    }


def test_where_nobody_knows_which_items_are_new_there_is_no_such_segment() -> None:
    assert "new_items" not in segments.of_cases([case("a")], ["bag"])


def test_an_empty_segment_is_left_out() -> None:
    assert "bought_before" not in segments.of_cases([case("a")], ["bag"])


def test_head_queries_are_the_fewest_that_make_up_half_of_the_searches() -> None:
    texts = ["bag"] * 4 + ["box"] * 3 + ["lamp"] * 2 + ["tin"]
    assert segments.head_queries(texts) == {"bag", "box"}
    assert segments.head_queries(texts, share=0.4) == {"bag"}
    assert segments.head_queries([]) == set()


def test_judged_queries_are_parted_by_their_length() -> None:
    masks = segments.of_judged(["tv", "usb cable", "noise cancelling headphones"])
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "one_word": [True, False, False],
        "two_words": [False, True, False],
        "longer": [False, False, True],
    }

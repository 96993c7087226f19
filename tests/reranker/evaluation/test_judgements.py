import gzip
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import AskedWrongly
from reranker.evaluation import judgements

CASE = {"user_id": "7", "queries": ["bag", "lunch bag"], "target": "22", "bought_before": True}


def test_both_spellings_of_the_columns_and_both_separators_are_read(tmp_path: Path) -> None:
    commas, tabs = tmp_path / "a.csv", tmp_path / "b.tsv"
    commas.write_text('query,docid,rating\n"bag, red",1,3\nbag,2,0\nbag,3,1.5\n', encoding="utf-8")
    tabs.write_text("query_id\tquery\tdoc_id\tgrade\nq\tbag\t2\t0\nq\tbag\t3\t1.5\n")
    assert judgements.read_judgements(commas).grades["bag, red"] == {"1": 3.0}
    assert judgements.read_judgements(tabs).grades == {"bag": {"2": 0.0, "3": 1.5}}


def test_compressed_files_are_read_and_the_digest_is_of_the_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "judged.tsv.gz"
    path.write_bytes(gzip.compress("query\tdocid\trating\n耳机\t1\t1\n".encode()))
    read = judgements.read_judgements(path)
    assert read.grades == {"耳机": {"1": 1.0}}
    assert read.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_queries_without_a_relevant_item_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "judged.csv"
    path.write_text("query,docid,rating\nbag,1,1\nbox,1,0\nbox,2,-1\n")
    read = judgements.read_judgements(path)
    assert list(read.grades) == ["bag"]
    assert read.without_relevant == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"columns \(none\) but no query"),
        ("query,item,rating\nbag,1,1\n", "no docid or doc_id"),
        ("query\tdocid\trating\nbag\t1\t1\n", "tabs only in a .tsv"),
        ("query,docid,rating\nbag,1\n", "row 2 has 2 of 3 columns"),
        ("query,docid,rating\n ,1,1\n", "row 2 has an empty query or item id"),
        ("query,docid,rating\nbag,1,good\n", "row 2: the grade 'good' is not a number"),
        ("query,docid,rating\nbag,1,nan\n", "row 2: the grade nan is out of range"),
        ("query,docid,rating\nbag,1,80\n", "use 0 to 10"),
        ("query,docid,rating\nbag,1,0\n", "no query with a grade above 0"),
    ],
)
def test_a_file_of_judgements_that_is_not_one_is_refused_with_the_place(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "judged.csv"
    path.write_text(text)
    with pytest.raises(AskedWrongly, match=reason):
        judgements.read_judgements(path)


@pytest.mark.parametrize("name", ["absent.csv", "broken.csv.gz", "latin.csv"])
def test_a_file_that_cannot_be_read_as_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.csv.gz").write_bytes(b"not gzip")
    (tmp_path / "latin.csv").write_bytes("query,docid,rating\ncafé,1,1\n".encode("latin-1"))
    with pytest.raises(AskedWrongly, match="cannot be read as UTF-8 text"):
        judgements.read_judgements(tmp_path / name)


def test_a_gzip_that_ends_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(b"query,docid,rating\nbag,1,1\n")[:-6])
    with pytest.raises(AskedWrongly, match="cannot be read"):
        judgements.read_judgements(path)


def test_cases_are_read_with_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps({**CASE, "as_of": "2011-10-12T13:19:15.000Z"}) + "\n\n")
    assert judgements.read_cases(path).cases == (
        judgements.Case("7", ("bag", "lunch bag"), "22", True, "2011-10-12T13:19:15.000Z"),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 1 is not JSON"),
        ("[]", "line 1 is not a JSON object"),
        (json.dumps({**CASE, "queries": []}), "`queries` must be a list of texts"),
        (json.dumps({**CASE, "queries": [1]}), "`queries` must be a list of texts"),
        (json.dumps({**CASE, "target": 22}), "`target` must be an item id"),
        (json.dumps({**CASE, "user_id": 7}), "`user_id` must be a text or absent"),
        ("", "no case"),
    ],
)
def test_a_file_of_cases_that_is_not_one_is_refused_with_the_line(
    tmp_path: Path, line: str, reason: str
) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(AskedWrongly, match=reason):
        judgements.read_cases(path)


@given(st.dictionaries(st.text(min_size=1), st.just({"1": 1.0}), min_size=1, max_size=30))
def test_the_two_parts_of_judgements_are_all_of_them_and_share_nothing(
    grades: dict[str, dict[str, float]],
) -> None:
    whole = judgements.Judgements("j", "d", grades)
    tuning, holdout = (whole.part(part).grades for part in ("tuning", "holdout"))
    assert tuning.keys() | holdout.keys() == grades.keys()
    assert not tuning.keys() & holdout.keys()


@given(st.text())
def test_a_part_is_the_first_bit_of_the_hash_and_depends_on_nothing_else(query: str) -> None:
    first_digit = hashlib.sha256(query.encode()).hexdigest()[0]
    assert judgements.part_of(query) == ("tuning" if first_digit < "8" else "holdout")


def test_about_half_of_many_queries_are_for_tuning() -> None:
    tuning = sum(judgements.part_of(f"query {n}") == "tuning" for n in range(2000))
    assert 900 < tuning < 1100


def test_no_shopper_is_in_both_parts_of_the_cases() -> None:
    cases = tuple(
        judgements.Case(str(n % 9), (f"q{n}",), "t", bought_before=False) for n in range(90)
    )
    whole = judgements.Cases("c", "d", cases)
    tuning, holdout = (
        {it.user_id for it in whole.part(part).cases} for part in ("tuning", "holdout")
    )
    assert tuning
    assert holdout
    assert not tuning & holdout


def test_a_limit_takes_the_first_of_the_part() -> None:
    whole = judgements.Judgements("j", "d", {q: {"1": 1.0} for q in "abcdef"})
    assert list(whole.part("all", 2).grades) == ["a", "b"]

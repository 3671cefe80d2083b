"""A journal: entries of several processes, each whole or not there."""

import json

import pytest

from geochat.errors import DataError
from geochat.journal import Journal, Recorded, busy, read_entries


def write(folder, *entries, rank=None):
    with Journal(folder, rank) as journal:
        for entry in entries:
            journal.write(entry)
        return journal.path


def test_entries_are_found_by_their_number(tmp_path):
    write(tmp_path, {"number": 2, "text": "größe"}, {"number": 0, "seconds": 1.5})
    recorded = Recorded(tmp_path, 4)
    assert [number in recorded for number in range(4)] == [True, False, True, False]
    assert recorded.entry(2) == {"number": 2, "text": "größe"}
    assert (recorded.answered, recorded.failed, recorded.complete, recorded.seconds) == (2, 0, False, 1.5)


def test_each_process_has_a_journal_of_its_own(tmp_path):
    with Journal(tmp_path) as one, Journal(tmp_path) as other:
        assert (one.path.name, other.path.name) == ("0.jsonl", "1.jsonl")
        assert busy(tmp_path)
        recorded = Recorded(tmp_path, 2)
        one.write({"number": 0})
        other.write({"number": 1})
        assert not recorded.complete
        recorded.refresh()
        assert recorded.complete
        with pytest.raises(DataError, match="another process"), Journal(tmp_path, 1):
            pass
    assert not busy(tmp_path)
    assert write(tmp_path, {"number": 0}).name == "0.jsonl"


def test_what_is_being_written_is_read_when_it_is_whole(tmp_path):
    path = write(tmp_path, {"number": 0})
    line = path.read_bytes().replace(b'"number": 0', b'"number": 1')
    with path.open("ab") as file:
        file.write(line[:10])
    recorded = Recorded(tmp_path, 2)
    assert 1 not in recorded
    with path.open("ab") as file:
        file.write(line[10:])
    recorded.refresh()
    assert recorded.damaged == {path: 1}  # its checksum is another line's


def test_a_torn_line_is_cut_off_before_the_next_process_writes(tmp_path):
    path = write(tmp_path, {"number": 0})
    with path.open("ab") as file:
        file.write(b'{"number": 1')
    write(tmp_path, {"number": 2})
    assert [entry["number"] for entry in read_entries(tmp_path)] == [0, 2]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_an_entry_stands_before_a_failure_and_the_first_before_another(tmp_path):
    write(
        tmp_path,
        {"number": 0, "error": "no"},
        {"number": 0, "n": 1},
        {"number": 0, "n": 2},
        {"number": 1, "error": "no"},
    )
    recorded = Recorded(tmp_path, 2)
    assert recorded.entry(0)["n"] == 1
    assert (recorded.answered, recorded.failed) == (1, 1)
    again = Recorded(tmp_path, 2, retry=True)
    assert 1 not in again
    write(tmp_path, {"number": 1, "error": "still no"})
    again.refresh()
    assert again.entry(1)["error"] == "still no"


@pytest.mark.parametrize(
    "line", ["{", "[1]", "null", '{"number": "1"}', '{"number": 9}', '{"number": 1, "seconds": "soon"}']
)
def test_lines_that_are_no_entries_are_counted(tmp_path, line):
    path = write(tmp_path, {"number": 0})
    path.write_text(f"{line}\n{path.read_text()}")
    recorded = Recorded(tmp_path, 2)
    assert recorded.damaged == {path: 1}
    assert 0 in recorded
    assert 1 not in recorded

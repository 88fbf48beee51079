"""How many lines of a stage go to Prefect's database."""

from __future__ import annotations

from flows.page.log_lines import Thinned, as_record


def test_a_stage_that_writes_without_end_costs_two_lines_a_minute() -> None:
    now_s = 0.0
    thinned = Thinned(lambda: now_s)
    taken = 0
    for _ in range(24 * 3600):  # a line a second for a day
        now_s += 1.0
        taken += thinned.takes("train@xl")
    # 200 at once, then one each 30 s.
    assert abs(taken - (200 + 24 * 3600 / 30)) <= 1
    assert thinned.left("train@xl") == 24 * 3600 - taken
    assert thinned.left("train@xl") == 0


def test_a_stage_does_not_use_up_the_lines_of_another() -> None:
    thinned = Thinned(lambda: 0.0)
    assert sum(thinned.takes("crawl") for _ in range(1000)) == 200
    assert thinned.takes("extract")


def test_a_line_is_text_that_any_database_takes() -> None:
    assert as_record("crawl", "a\x00b\x1bc\td") == (20, "a b c\td")
    assert len(as_record("crawl", "x" * 100_000)[1]) == 4000

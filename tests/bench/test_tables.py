from pathlib import Path

import pytest

from bench import sheets, tables
from bench.page import Page, markdown, named_file, redrawn
from bench.summary import Table
from tests.bench.samples import full_report, make_report

PAGE = "# Title\n\n<!-- results: none -->\n\nold\n\n<!-- end of results -->\n\nafter\n"


def test_a_table_is_drawn_with_names_left_and_numbers_right() -> None:
    drawn = markdown(Table("T", ("proxy", "us"), (("nginx", "15.0"),)))
    assert drawn == "### T\n\n| proxy | us |\n| --- | ---: |\n| nginx | 15.0 |\n"


@pytest.mark.parametrize("page", [tables.PAGE, tables.FRONT], ids=["bench", "front"])
def test_the_pages_of_this_tree_are_as_they_are_drawn_from_the_result_they_name(page: Page) -> None:
    assert page.text() == page.drawn()


def test_both_pages_show_the_same_run() -> None:
    assert named_file(tables.PAGE.text()) == named_file(tables.FRONT.text())


def test_the_front_page_has_the_proxies_and_not_the_rig() -> None:
    table = sheets.front_table(full_report())
    assert [row[0] for row in table.rows if row[0] == "direct"] == []
    assert {len(row) for row in table.rows} == {len(table.header)}
    assert table.rows


def test_a_page_names_the_result_it_was_drawn_from_last(tmp_path: Path) -> None:
    path, results = tmp_path / "page.md", tmp_path / "results"
    path.write_text(PAGE, "utf-8")
    page = Page(path, results, lambda file: f"of {file}\n", "bench.tables")
    assert page.drawn() == redrawn(PAGE, "none", "No run has been published yet.\n")
    assert page.main(["--check"]) == 1
    assert page.text() == PAGE
    assert page.main(["elsewhere/x.json"]) == 0
    assert page.text() == redrawn(PAGE, "x.json", f"of {results / 'x.json'}\n")
    assert page.main(["--check"]) == 0


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    page = redrawn(PAGE, "x.json", "new\n")
    assert page == PAGE.replace("none", "x.json").replace("old", "new")
    assert named_file(page) == "x.json"
    assert redrawn(page, "x.json", "new\n") == page


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="end of results"):
        named_file("# Title\n")


def test_every_table_of_a_full_report_has_rows_as_wide_as_its_header() -> None:
    drawn = sheets.tables(full_report())
    assert len(drawn) >= 5
    for table in drawn:
        assert {len(row) for row in table.rows} == {len(table.header)}


def test_an_empty_report_has_no_tables() -> None:
    assert sheets.tables(make_report()) == []


def table_of(title: str) -> Table:
    return next(each for each in sheets.tables(full_report()) if each.title.startswith(title))


def test_the_chat_table_shows_ratios_to_nginx_and_routes_over_eight_beside() -> None:
    ratios = {row[0]: row[4] for row in table_of("Chat").rows}
    assert ratios == {
        "nginx": "1.00",
        "envoy": "2.33",
        "gateway": "1.07",
        "gateway-unrecorded": "0.93",
        "gateway, 8 candidates, least_loaded": "1.13",
        "gateway-unrecorded, 8 candidates, least_loaded": "1.00",
        "gateway, 8 candidates, cheapest": "1.20",
        "gateway-unrecorded, 8 candidates, cheapest": "1.07",
    }


def test_the_log_s_table_shows_the_worker_with_and_without_it_and_the_shipper_apart() -> None:
    rows = table_of("What the log costs").rows
    assert rows[1][:5] == ("gateway", "least_loaded", "17.00", "15.00", "+2.00")
    assert rows[1][7:] == ("9.00", "12,000", "10,000", "0")


def test_times_of_streams_with_the_log_on_and_off_are_compared_with_what_rounds_differ_by() -> None:
    rows = {row[0]: row[1:] for row in table_of("Streams with the log").rows}
    assert rows["first token p50"] == ("0.320", "0.310", "+10", "20", "within noise")
    assert list(rows) == ["first token p50", "first token p99", "gap p50", "gap p99"]


def test_the_store_s_tables_show_its_size_its_loading_and_its_answers() -> None:
    assert table_of("Local store").rows == (
        ("added", "10,000,000", "14.00", "222", "100,000", "12.0"),
        ("joined", "10,000,000", "2.00", "7", "200,000", "6.0"),
    )
    assert table_of("Questions").rows[0] == ("explain", "5", "120.0", "240.0")


def test_the_page_says_what_was_not_measured_and_on_which_commit() -> None:
    part = tables.page_part(make_report(skipped={"envoy": "envoy is not installed"}))
    assert "Not measured: envoy is not installed." in part
    assert "at commit `0123456789`" in part


def test_percent_and_backslash_in_a_result_do_not_disturb_the_page() -> None:
    page = redrawn(PAGE, "x.json", r"50 % of \1 and \g<file>" + "\n")
    assert r"50 % of \1 and \g<file>" in page

import pytest

from bench import sheets, tables
from bench.summary import Table
from tests.bench.samples import full_report, make_report

PAGE = "# Title\n\n<!-- results: none -->\n\nold\n\n<!-- end of results -->\n\nafter\n"


def test_a_table_is_drawn_with_names_left_and_numbers_right() -> None:
    drawn = tables.markdown(Table("T", ("proxy", "us"), (("nginx", "15.0"),)))
    assert drawn == "### T\n\n| proxy | us |\n| --- | ---: |\n| nginx | 15.0 |\n"


def test_the_page_of_this_tree_is_as_it_is_drawn_from_the_result_it_names() -> None:
    page = tables.README.read_text()
    assert page == tables.page_for(page, tables.named_file(page))


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    page = tables.redrawn(PAGE, "x.json", "new\n")
    assert page == PAGE.replace("none", "x.json").replace("old", "new")
    assert tables.named_file(page) == "x.json"
    assert tables.redrawn(page, "x.json", "new\n") == page


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="end of results"):
        tables.named_file("# Title\n")


def test_every_table_of_a_full_report_has_rows_as_wide_as_its_header() -> None:
    drawn = sheets.tables(full_report())
    assert len(drawn) >= 5
    for table in drawn:
        assert {len(row) for row in table.rows} == {len(table.header)}


def test_an_empty_report_has_no_tables() -> None:
    assert sheets.tables(make_report()) == []


def test_the_chat_table_shows_ratios_to_nginx_and_routes_over_eight_beside() -> None:
    first = sheets.tables(full_report())[0]
    ratios = {row[0]: row[4] for row in first.rows}
    assert ratios == {
        "nginx": "1.00",
        "envoy": "2.33",
        "gateway": "1.07",
        "gateway, 8 candidates, least_loaded": "1.13",
        "gateway, 8 candidates, cheapest": "1.20",
    }


def test_the_page_says_what_was_not_measured_and_on_which_commit() -> None:
    part = tables.page_part(make_report(skipped={"envoy": "envoy is not installed"}))
    assert "Not measured: envoy is not installed." in part
    assert "at commit `0123456789`" in part


def test_percent_and_backslash_in_a_result_do_not_disturb_the_page() -> None:
    page = tables.redrawn(PAGE, "x.json", r"50 % of \1 and \g<file>" + "\n")
    assert r"50 % of \1 and \g<file>" in page

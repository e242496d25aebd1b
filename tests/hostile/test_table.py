from tests.corpus.table import BEGIN, END, PAGE, with_table


def test_the_table_in_the_documentation_is_that_of_the_corpus():
    """`python -m tests.corpus.table` was run after the last change of the corpus."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    assert with_table(page) == page

"""Tables within pages that are otherwise written by hand."""


def with_tables(page: str, tables: str, begin: str, end: str) -> str:
    """The page with the text between two comments replaced.

    Raises:
        ValueError: It lacks them.
    """
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise ValueError(f"the page needs the lines {begin} and {end}")
    return f"{before}{begin}\n\n{tables.strip()}\n\n{end}{after}"

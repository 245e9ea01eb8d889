"""Tables within pages that are otherwise written by hand."""

import itertools
from collections.abc import Iterator


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


def with_rows(page: str, tables: str, begin: str, end: str, named_by: int = 1) -> str:
    """Like `with_tables`, but rows that the page has and the tables lack stay: of systems that were not run this time.

    Args:
        page: Markdown.
        tables: Markdown; a table takes the rows of the page's table under the same heading and of the same columns.
        begin: The comment before.
        end: The comment after.
        named_by: A row is known by so many first cells.

    Raises:
        ValueError: The page lacks the comments.
    """
    old = page.partition(begin)[2].partition(end)[0]
    there = {(heading, lines[0]): lines[2:] for heading, lines in _parts(old) if _is_row(lines[0])}
    written = list[str]()
    for heading, lines in _parts(tables):
        kept = there.get((heading, lines[0]))
        written += lines[:2] + _merged(kept, lines[2:], named_by) if kept else lines
    return with_tables(page, "\n".join(written), begin, end)


def _parts(text: str) -> Iterator[tuple[str, list[str]]]:
    """Lines of each table and of what stands between them, with the last heading."""
    heading = ""
    for _, group in itertools.groupby(text.strip().splitlines(), _is_row):
        lines = list(group)
        heading = next((line for line in reversed(lines) if line.startswith("#")), heading)
        yield heading, lines


def _is_row(line: str) -> bool:
    return line.startswith("|")


def _merged(there: list[str], rows: list[str], named_by: int) -> list[str]:
    """The rows, and those that were there and are not among them, each after the one that it came after."""
    merged = {_name(row, named_by): row for row in rows}
    order = list(merged)
    before = 0
    for row in there:
        name = _name(row, named_by)
        if name not in merged:
            merged[name] = row
            order.insert(before, name)
        before = order.index(name) + 1
    return [merged[name] for name in order]


def _name(row: str, cells: int) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in row.strip("|").split("|")[:cells])

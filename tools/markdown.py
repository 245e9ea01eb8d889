"""How generated pages are written."""

import html

NOTICE = "<!-- Written by `make compile` from the code; never edited. -->\n\n"


def table_cell(text: str) -> str:
    """Plain text as the content of a table's cell."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")

"""Which pictures belong together: disjoint sets under union."""

from collections.abc import Iterator


class Groups:
    """Disjoint sets of names; a set is called by its smallest name, whatever the order of joining."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The smallest name of the set that `name` is in; a name never joined is a set of its own."""
        root = name
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while (parent := self._parents.get(name, name)) != root and name != root:
            self._parents[name] = root
            name = parent
        return root

    def joined(self) -> Iterator[tuple[str, str]]:
        """Every name whose set is called otherwise, with what it is called."""
        for name in self._parents:
            yield name, self.find(name)

    def join(self, first: str, second: str) -> None:
        """Make one set of the sets of both names."""
        low, high = sorted((self.find(first), self.find(second)))
        if low != high:
            self._parents[high] = low

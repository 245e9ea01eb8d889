"""The words data sets use for their two classes, and what a layout tells of one file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from forgery.dataset.manifest import ClassLabel

# Folder names and label values, compared without case, spaces, `-` and `_`.
CLASS_WORDS: Final[Mapping[ClassLabel, tuple[str, ...]]] = {
    "authentic": ("authentic", "au", "real", "original", "originals", "pristine", "genuine", "untampered", "0"),
    "forged": ("forged", "forgery", "tp", "sp", "fake", "tampered", "manipulated", "spliced", "edited", "1"),
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """One file as its layout describes it.

    Attributes:
        name: As the source lists it.
        size: In bytes.
        label: Its class.
        group: Pictures of one group share a source; None where the layout does not say.
        mask: Name of the file that marks the forged pixels.
        manipulation: E.g. `splice`, `copy-move`, `removal`.
    """

    name: str
    size: int
    label: ClassLabel
    group: str | None = None
    mask: str | None = None
    manipulation: str | None = None


class ClassNames:
    """Which label a word stands for."""

    def __init__(self, stated: Mapping[str, ClassLabel]) -> None:
        """Take the known words and those the user states, which win."""
        self._labels = {word: label for label, words in CLASS_WORDS.items() for word in words}
        self._labels.update({_plain(word): label for word, label in stated.items()})

    def label(self, word: str) -> ClassLabel | None:
        """The label, or None for a word that is not known."""
        return self._labels.get(_plain(word))

    @staticmethod
    def accepted() -> str:
        """The known words, for messages."""
        return "; ".join(f"{label}: {', '.join(words)}" for label, words in CLASS_WORDS.items())


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter not in " -_")

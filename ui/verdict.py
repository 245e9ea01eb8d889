"""What the page says of a verdict, in words; colour and icon only repeat it."""

from dataclasses import dataclass

from ui.endpoint import Answer

LIMITS = (
    "This can’t tell who changed a picture, when or why, or whether the scene was ever real: it looks for traces of "
    "editing in one file, and resaving, screenshots and messengers can wipe them out or imitate them."
)


@dataclass(frozen=True)
class Words:
    """How one label is told.

    Attributes:
        headline: The verdict in two words.
        short: For tables.
        symbol: Stands beside the words wherever there is no icon.
        icon: Path data of a 24 x 24 icon, drawn with strokes.
    """

    headline: str
    short: str
    symbol: str
    icon: str


_CIRCLE = "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19Z"
_TRIANGLE = "M12 3.5 2.5 20.5h19Z"
_EXCLAMATION = "M12 10v5m0 2.6v.2"
_TICK = "M7.6 12.3l3.1 3.1 5.8-6.4"
_QUESTION = "M9.3 9.4a2.7 2.7 0 1 1 3.9 2.4c-.8.4-1.2 1-1.2 1.9m0 3v.2"
_WORDS = {
    "forged": Words("Looks forged", "Forged", "▲", _TRIANGLE + _EXCLAMATION),
    "authentic": Words("Looks authentic", "Authentic", "✓", _CIRCLE + _TICK),
    "inconclusive": Words("Inconclusive", "Inconclusive", "?", _CIRCLE + _QUESTION),
}


def words(label: str) -> Words:
    """How a label is told; one that is not known is told as it is."""
    return _WORDS.get(label, Words(label.capitalize(), label.capitalize(), "·", "M4 12h16"))


def percent(probability: float) -> str:
    """A probability in [0, 1] for reading: never 0 % or 100 %, which no model can claim."""
    if probability < 0.001:
        return "under 0.1 %"
    if probability > 0.999:
        return "over 99.9 %"
    return f"{probability:.1%}".replace("%", " %")


def explain(answer: Answer) -> str:
    """Why the label follows from the numbers, in one or two sentences."""
    found, limit = percent(answer.probability_forged), percent(answer.threshold)
    if answer.label == "inconclusive" and answer.band is not None:
        low, high = map(percent, answer.band)
        return (
            f"The model puts the probability of forgery at {found}, between {low} and {high}, "
            f"where it is wrong too often to decide."
        )
    side = "above" if answer.probability_forged >= answer.threshold else "below"
    return f"The model puts the probability of forgery at {found}, {side} its threshold of {limit}."

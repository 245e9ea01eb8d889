"""Where a person says that a verdict is wrong; shown where the page was told a place to keep that."""

import os

import streamlit as st
from pydantic import ValidationError

from forgery.errors import ForgeryError
from forgery.feedback import Correction, Given, keep
from ui import markup
from ui.cases import Case
from ui.endpoint import Answer

_LABELS = {"It is authentic": "authentic", "It is forged": "forged"}
_ABOUT = (
    "What you know of this picture helps the next model. Its fingerprint (SHA-256), your name and your reason are "
    "kept; the picture itself only if you agree."
)
_AGREE = "Hand over the picture itself, so that the next model can learn from it"
_MISSING = "Say what the picture is, who you are and how you know."


def show_correction(case: Case, answer: Answer) -> None:
    """A form under the details; nothing where `FORGERY_FEEDBACK` names no place."""
    place = os.environ.get("FORGERY_FEEDBACK")
    if not place:
        return
    with st.expander("Is the verdict wrong?"), st.form(f"correction-{case.sha256}", border=False):
        st.html(markup.quiet(_ABOUT))
        said = st.radio("What the picture is", list(_LABELS), index=None, horizontal=True)
        by = st.text_input("Your name", max_chars=200)
        because = st.text_input("How you know", max_chars=2000, placeholder="I have the raw file")
        agreed = st.checkbox(_AGREE)
        if st.form_submit_button("Send the correction"):
            _send(place, case, answer, _LABELS.get(said or "", ""), by, because, agreed)


def _send(place: str, case: Case, answer: Answer, label: str, by: str, because: str, agreed: bool) -> None:
    given = Given(label=answer.label, probability_forged=answer.probability_forged, model_version=answer.model_version)
    encoded = case.chosen.encoded
    try:
        keep(place, Correction.of(encoded, label, by, because, given, agreed), encoded)
    except ValidationError:
        st.error(_MISSING)
    except ForgeryError as error:
        st.error(str(error))
    else:
        kept = "with the picture" if agreed else "without the picture"
        st.success(f"Thank you. Your correction was kept, {kept}.")

"""The page's script: `forgery ui` has Streamlit run it. Verdict first, evidence second, details third."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import streamlit as st

from ui import markup
from ui.cases import Case, Chosen, open_case
from ui.components import page_icon, page_style, paste_listener
from ui.correction import show_correction
from ui.endpoint import BAND, INFO, PICTURES, VERDICT, Endpoint, EndpointError, Model, wanted
from ui.examples import Example, read_examples
from ui.sections import show_batch, show_details, show_evidence, show_verdict
from ui.views import data_uri, view

# Few enough that other callers of the endpoint still get their turn.
_ASKED_AT_ONCE = 4
# Of one visitor; each is some megabytes of pictures.
_EVIDENCE_KEPT = 8
_FILES, _FOLDER = "Files", "A folder"
# A folder holds other things too; of files chosen one by one the endpoint says itself what it does not accept.
_SUFFIXES = ("jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp")
_PASTE = (
    "You can paste with Ctrl+V, too. A copied file arrives as it is; a copied picture is what the clipboard made of it."
)


@st.cache_resource
def _endpoint(url: str, model_name: str) -> Endpoint:
    return Endpoint(url, model_name)


@st.cache_data(ttl=5, show_spinner=False)
def _model(url: str, model_name: str) -> Model | None:
    try:
        return _endpoint(url, model_name).model()
    except EndpointError:
        return None


def main() -> None:
    """Draw the page once; Streamlit calls this again after every action."""
    st.set_page_config("Forgery: was this picture edited?", page_icon(), layout="centered")
    st.html(page_style())
    url, name = os.environ.get("FORGERY_URL", "http://127.0.0.1:8080"), os.environ.get("FORGERY_MODEL_NAME", "forgery")
    model = _model(url, name)
    st.html(markup.masthead(model))
    chosen = _choose()
    if not chosen:
        return
    endpoint, known = _endpoint(url, name), model or Model(name, (), frozenset(VERDICT))
    cases = _ask(endpoint, known, chosen)
    _show(endpoint, known, cases[0] if len(cases) == 1 else show_batch(cases, str(_visit())))


def _visit() -> int:
    """Counts the times somebody started over: widgets keyed by it begin anew."""
    return int(st.session_state.setdefault("visit", 0))


def _start_over() -> None:
    visit = _visit() + 1
    st.session_state.clear()
    st.session_state["visit"] = visit


def _ask_again() -> None:
    st.session_state.pop("verdicts", None)
    st.session_state.pop("evidence", None)
    _model.clear()


def _choose() -> list[Chosen]:
    """What the person chose: files, else an example."""
    above = st.container()
    with st.container(key="drop"):
        uploads = _uploads(st.session_state.get("way") == _FOLDER)
    paste_listener()
    if uploads:
        st.session_state.pop("example", None)
    elif "example" in st.session_state:
        uploads = [st.session_state["example"]]
    if uploads:
        with st.container(horizontal=True):
            st.button("Start over", on_click=_start_over)
            st.button("Ask again", on_click=_ask_again, type="tertiary")
        return uploads
    above.html(markup.welcome())
    _offer()
    return []


def _uploads(folder: bool) -> list[Chosen]:
    key = f"uploads-{_visit()}-{folder}"
    label = "Pictures to examine"
    if folder:
        files = st.file_uploader(label, _SUFFIXES, "directory", key=key, label_visibility="collapsed")
    else:
        files = st.file_uploader(label, None, True, key=key, label_visibility="collapsed")
    known: dict[str, Chosen] = st.session_state.get("uploads", {})
    kept = {each.file_id: known.get(each.file_id) or Chosen(each.name, each.getvalue()) for each in files}
    st.session_state["uploads"] = kept
    return list(kept.values())


def _offer() -> None:
    """Other ways to begin."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.segmented_control(
            "Choose", [_FILES, _FOLDER], default=_FILES, key="way", label_visibility="collapsed", width="content"
        )
        st.html(markup.quiet(_PASTE))
    folder = os.environ.get("FORGERY_EXAMPLES")
    if examples := read_examples(folder):
        _show_examples(examples)
    elif folder:
        _await_examples(folder)


@st.fragment(run_every=2)
def _await_examples(folder: str) -> None:
    # `forgery ui` makes them while the page is up already.
    if read_examples(folder):
        st.rerun()


def _show_examples(examples: Sequence[Example]) -> None:
    st.html(markup.section("Or try one of these") + markup.quiet("Made for this page from free photographs."))
    for column, example in zip(st.columns(len(examples)), examples, strict=True):
        encoded = example.path.read_bytes()
        column.html(markup.example_figure(data_uri(view(encoded, upright=True)), example.title))
        chosen = {"example": Chosen(example.path.name, encoded)}
        column.button(example.title, on_click=st.session_state.update, args=(chosen,), width="stretch")


def _ask(endpoint: Endpoint, model: Model, chosen: Sequence[Chosen]) -> list[Case]:
    """A verdict for every file, each asked once; the table of a batch needs no more."""
    known: dict[str, Case] = st.session_state.get("verdicts", {})
    outputs = wanted(model, (*VERDICT, *BAND))
    fresh = list({each.sha256: each for each in chosen if each.sha256 not in known}.values())
    if fresh:
        bar = st.progress(0.0, f"Asking about {len(fresh)} pictures") if len(fresh) > 1 else None
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
            for done, case in enumerate(threads.map(lambda each: open_case(endpoint, each, outputs), fresh), 1):
                known[case.sha256] = case
                if bar is not None:
                    bar.progress(done / len(fresh), f"Asked about {done} of {len(fresh)} pictures")
        if bar is not None:
            bar.empty()
    st.session_state["verdicts"] = known
    return [replace(known[each.sha256], chosen=each) for each in chosen]


def _show(endpoint: Endpoint, model: Model, case: Case) -> None:
    """One case, from the verdict down."""
    show_verdict(case)
    if case.answer is None:
        return
    full = _with_evidence(endpoint, model, case)
    if full.answer is None:
        st.html(markup.section("Evidence") + markup.quiet(full.error))
        return
    if full.answer.model_version != case.answer.model_version:
        # Another model came into service between the two questions: tell one story, the newer one's.
        st.session_state["verdicts"][case.sha256] = full
        st.rerun()
    show_evidence(full, full.answer)
    show_details(full, full.answer, model)
    show_correction(full, full.answer)


def _with_evidence(endpoint: Endpoint, model: Model, case: Case) -> Case:
    kept: dict[str, Case] = st.session_state.setdefault("evidence", {})
    if case.sha256 not in kept:
        with st.spinner("Fetching the evidence"):
            asked = open_case(endpoint, case.chosen, wanted(model, (*VERDICT, *BAND, *PICTURES, INFO)))
        kept[case.sha256] = asked
        while len(kept) > _EVIDENCE_KEPT:
            del kept[next(iter(kept))]
    return kept[case.sha256]


if __name__ == "__main__":
    main()

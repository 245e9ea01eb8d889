"""The parts of the page: each draws one and asks nothing of the others."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from ui import markup
from ui.cases import Case, as_csv, as_json
from ui.components import Layer, layers
from ui.endpoint import Answer, Model
from ui.findings import findings, read_traits
from ui.quality import card_link, card_place, card_text, describe
from ui.report import render_report
from ui.verdict import words
from ui.views import channels, closer_look, data_uri, is_upright, lossless_uri, stretched, thumbnail, view

_SAW, _LOOK = "As the model saw it", "Closer look"
_QUALITY, _GAIN = 90, 15
_ABOUT_ERROR_LEVELS = (
    "How much each place changes when the picture is saved once more. Parts with another history than their "
    "surroundings tend to stand out; sharp edges and bright textures always do."
)
_ABOUT_HEAT_MAP = (
    "Places that spoke for forgery, in orange. It shows what moved the model, which is not a mask of what was edited."
)
_ABOUT_SPECTRUM = (
    "Frequencies of the picture’s centre, low ones in the middle. A photograph fades smoothly outwards. Bright dots or "
    "a grid away from the cross hint at enlarging, rotating or a generator; the cross itself comes from straight edges "
    "and from JPEG’s blocks."
)
_ABOUT_SELF_MATCHES = (
    "Regions that repeat within the picture, each outlined and joined to its counterpart; a picture without outlines "
    "has none. A copy-move leaves them. So do windows, tiles and reflections, and which of the two came first cannot "
    "be told."
)
_PICTURE_AND_WORDS = (8, 5)
_BUTTONS = 8  # more do not fit beside the picture
_LABELS = ("forged", "inconclusive", "authentic")


@st.cache_data(scope="session", max_entries=32, show_spinner=False)
def _picture_address(encoded: bytes, upright: bool) -> tuple[str, tuple[int, int]]:
    picture = view(encoded, upright)
    return data_uri(picture), picture.size


@st.cache_data(scope="session", max_entries=32, show_spinner=False)
def _closer_look_address(encoded: bytes, quality: int, gain: int, upright: bool) -> str:
    return data_uri(closer_look(encoded, quality, gain, upright))


@st.cache_data(scope="session", max_entries=32, show_spinner=False)
def _lies_upright(encoded: bytes, heatmap: bytes | None) -> bool:
    return heatmap is not None and is_upright(encoded, heatmap)


@st.cache_data(scope="session", max_entries=512, show_spinner=False)
def _thumbnail_address(encoded: bytes) -> str:
    return thumbnail(encoded)


def show_verdict(case: Case) -> None:
    """The verdict, or why there is none."""
    if case.answer is None:
        _draw(markup.refusal_card(case))
        return
    address, _ = _picture_address(case.chosen.encoded, upright=True)
    _draw(markup.verdict_card(case.chosen.name, case.answer, address))


def _draw(html: str) -> None:
    # `st.html` would take the drawings out; every text in it is escaped.
    st.markdown(html, unsafe_allow_html=True)


def show_evidence(case: Case, answer: Answer) -> None:
    """Error levels, heat map, self-matches and spectrum, as far as the endpoint gave them."""
    tabs = {
        "ela": "Error levels",
        "heatmap": "Where the model looked",
        "self_matches": "Repeated regions",
        "spectrum": "Spectrum",
    }
    given = [name for name in tabs if name in answer.pictures]
    if not given:
        return
    st.html(markup.section("Evidence"))
    draw = {"ela": _error_levels, "heatmap": _heat_map, "self_matches": _self_matches, "spectrum": _spectrum}
    for tab, name in zip(st.tabs([tabs[name] for name in given]), given, strict=True):
        with tab:
            draw[name](case, answer)


@st.fragment
def _error_levels(case: Case, answer: Answer) -> None:
    upright = _lies_upright(case.chosen.encoded, answer.pictures.get("heatmap"))
    address, size = _picture_address(case.chosen.encoded, upright)
    place, beside = st.columns(_PICTURE_AND_WORDS, gap="large")
    with beside:
        st.html(markup.quiet(_ABOUT_ERROR_LEVELS))
        source = st.segmented_control("Show", [_SAW, _LOOK], default=_SAW, key="source", required=True)
        if source == _LOOK:
            top = _closer_look(case, upright)
        else:
            maps = channels(answer.pictures["ela"])
            top = lossless_uri(stretched(maps[_channel(len(maps))], size))
    with place:
        base = Layer(address, f"The picture {case.chosen.name}", "Picture")
        evidence = Layer(top, "Its error levels, bright where saving again changes much", "Error levels")
        layers(base, evidence, "split", "How much of the picture is seen beside its error levels", 50, "compare")


def _channel(count: int) -> int:
    if count == 1:
        return 0
    if count > _BUTTONS:
        return int(st.slider(f"Channel, of the {count} that the model reads", 1, count, 1, key="channel")) - 1
    return int(st.segmented_control("Channel", list(range(1, count + 1)), default=1, key="channel", required=True)) - 1


def _closer_look(case: Case, upright: bool) -> str:
    quality = st.slider("JPEG quality of the copy", 50, 99, _QUALITY, key="quality")
    gain = st.slider("Gain", 1, 60, _GAIN, key="gain")
    st.html(markup.viewing_mark())
    return _closer_look_address(case.chosen.encoded, quality, gain, upright)


def _heat_map(case: Case, answer: Answer) -> None:
    heatmap = answer.pictures["heatmap"]
    address, _ = _picture_address(case.chosen.encoded, _lies_upright(case.chosen.encoded, heatmap))
    place, beside = st.columns(_PICTURE_AND_WORDS, gap="large")
    beside.html(markup.quiet(_ABOUT_HEAT_MAP))
    with place:
        base = Layer(address, f"The picture {case.chosen.name}", "Picture")
        top = Layer(data_uri(heatmap), "The same picture, tinted where the model found signs of forgery", "Heat map")
        layers(base, top, "opacity", "Opacity of the heat map", 80, "heat")


def _self_matches(_: Case, answer: Answer) -> None:
    place, beside = st.columns(_PICTURE_AND_WORDS, gap="large")
    place.html(markup.self_matches_figure(data_uri(answer.pictures["self_matches"])))
    beside.html(markup.quiet(_ABOUT_SELF_MATCHES))


def _spectrum(_: Case, answer: Answer) -> None:
    place, beside = st.columns(_PICTURE_AND_WORDS, gap="large")
    place.html(markup.spectrum_figure(data_uri(answer.pictures["spectrum"])))
    beside.html(markup.quiet(_ABOUT_SPECTRUM))


def show_details(case: Case, answer: Answer, model: Model) -> None:
    """Findings in the file, the record, downloads."""
    quality = describe(model, answer.model_version)
    found = findings(answer.info, read_traits(case.chosen.encoded)) if answer.info else []
    left, right = st.columns([1, 1], gap="large")
    with left:
        st.html(markup.section("What the file says of itself") + markup.finding_list(found))
    with right:
        st.html(markup.section("Record") + markup.record_table(markup.record_rows(case, answer, model.name, quality)))
        _show_card(model, answer.model_version)
        name = f"forgery-{case.sha256[:12]}"
        with st.container(horizontal=True):
            report = render_report(case, found, model.name, quality)
            _download("Report (HTML)", report.encode(), f"{name}.html", "text/html", "primary")
            _download("JSON", as_json([case]), f"{name}.json", "application/json")


def _show_card(model: Model, version: str) -> None:
    """The model card, or a link to it; nothing where `FORGERY_MODEL_CARDS` does not say where bundles are."""
    cards, place = os.environ.get("FORGERY_MODEL_CARDS", ""), card_place(model, version)
    if not cards or place is None:
        return
    if address := card_link(cards, place):
        st.html(markup.card_link(address))
    elif text := card_text(cards, place):
        with st.expander("Model card"):
            st.markdown(text)


def _download(
    label: str, content: bytes, name: str, kind: str, weight: Literal["primary", "secondary"] = "secondary"
) -> None:
    st.download_button(label, content, name, kind, type=weight, on_click="ignore")


def show_batch(cases: Sequence[Case], key: str) -> Case:
    """All files in a table to sort and download, and a choice of one, which is returned."""
    counts = [sum(1 for case in cases if case.answer and case.answer.label == label) for label in _LABELS]
    refused = sum(1 for case in cases if case.answer is None)
    told = [f"{count} {label}" for label, count in zip(_LABELS, counts, strict=True) if count]
    st.html(
        markup.section(f"{len(cases)} pictures: {', '.join(told + ([f'{refused} without a verdict'] * bool(refused)))}")
    )
    names = [f"{index + 1}. {case.chosen.name}" for index, case in enumerate(cases)]

    def follow_row() -> None:
        rows = st.session_state[f"table-{key}"].selection.rows
        if rows:
            st.session_state[f"look-{key}"] = names[rows[0]]

    st.dataframe(
        pd.DataFrame([_row(case) for case in cases]),
        hide_index=True,
        row_height=56,
        placeholder="",
        height=min(37 + 56 * len(cases), 450),
        key=f"table-{key}",
        on_select=follow_row,
        selection_mode="single-row",
        column_config=_columns(),
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Look closer at", names, key=f"look-{key}")
        _download("CSV", as_csv(cases), "forgery.csv", "text/csv")
        _download("JSON", as_json(cases), "forgery.json", "application/json")
    return cases[names.index(chosen)] if chosen in names else cases[0]


def _mix(cases: Sequence[Case]) -> str:
    counts = Counter(case.answer.label if case.answer else "without a verdict" for case in cases)
    return ", ".join(f"{counts[label]} {label}" for label in (*_LABELS, "without a verdict") if counts[label])


def _columns() -> dict[str, Any]:
    return {
        "picture": st.column_config.ImageColumn("", width=64),
        "verdict": st.column_config.TextColumn("Verdict", width="small"),
        "probability": st.column_config.ProgressColumn(
            "Probability forged", format="percent", min_value=0, max_value=1
        ),
        "file": st.column_config.TextColumn("File", width="medium"),
        "note": st.column_config.TextColumn("Note", width="medium"),
    }


def _row(case: Case) -> dict[str, Any]:
    answer = case.answer
    if answer is None:
        return {"picture": None, "verdict": "– none", "probability": None, "file": case.chosen.name, "note": case.error}
    told = words(answer.label)
    return {
        "picture": _thumbnail_address(case.chosen.encoded),
        "verdict": f"{told.symbol} {told.short}",
        "probability": answer.probability_forged,
        "file": case.chosen.name,
        "note": "",
    }

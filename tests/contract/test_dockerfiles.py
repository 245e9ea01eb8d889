"""What the images are made of, told from the files they are built by."""

import re
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = ("Dockerfile.train", "Dockerfile.serve")


def instructions(name: str) -> list[str]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    return [line.strip() for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]


def library_of(roots: tuple[str, ...], package: str) -> set[str]:
    """Modules of the library that are imported, however far down; recipes are copied as a whole."""
    graph = grimp.build_graph("forgery", package)
    imported = {module for root in roots for module in graph.find_upstream_modules(root)}
    return {each for each in imported if re.match(r"forgery\.(?!recipes)", each) and not graph.find_children(each)}


def copied_in(stage: str) -> set[str]:
    text = "\n".join(instructions("Dockerfile.serve")).split(f"AS {stage}\n")[1].split("\nFROM ")[0]
    copied = {"forgery." + path.replace("/", ".") for path in re.findall(r"src/forgery/([\w/]+)\.py", text)}
    return {module for module in copied if not module.endswith(".__init__")}


def test_serve_image_has_exactly_the_part_of_the_library_that_its_servers_import() -> None:
    assert copied_in("code") == library_of(("serving.transformer", "serving.predictor"), "serving")


def test_the_pages_image_has_exactly_the_part_of_the_library_that_the_page_imports() -> None:
    # Its examples are made in a stage of their own, by what only that stage has.
    made_elsewhere = library_of(("forgery.dataset.demo",), "serving") | {"forgery.dataset.demo", "forgery.dataset"}
    assert copied_in("ui-code") == (library_of(("ui.page",), "ui") - made_elsewhere) | {
        "forgery.errors",
        "forgery.picture",
        "forgery.s3",
    }


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_final_image_runs_as_a_numeric_user_that_is_not_root(name: str) -> None:
    stages = re.split(r"^FROM ", "\n".join(instructions(name)), flags=re.MULTILINE)
    finals = [stage for stage in stages if re.search(r"^(ENTRYPOINT|CMD) ", stage, re.MULTILINE)]
    assert len(finals) == {"Dockerfile.train": 1, "Dockerfile.serve": 3}[name]
    for stage in finals:
        assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage, re.MULTILINE)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dependencies_are_installed_before_code_is_copied_and_with_hashes(name: str) -> None:
    installs = [line for line in instructions(name) if re.search(r"pip install", line)]
    assert installs
    assert all("--require-hashes" in line for line in installs)
    text = "\n".join(instructions(name))
    assert text.index("pip install") < text.index("COPY src/forgery")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_base_is_an_argument_and_only_a_pinned_lock_installs(name: str) -> None:
    lines = instructions(name)
    assert lines[0].startswith("ARG BASE=docker.io/library/python:3.11-slim-")
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    stages = re.findall(r"^FROM \S+ AS (\S+)", "\n".join(lines), re.MULTILINE)
    assert set(bases) <= {"${BASE}", *stages}


def test_no_component_and_no_test_can_reach_an_image() -> None:
    allowed = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(allowed) == ["!requirements/*.txt", "!serving", "!src/forgery", "!tools/prune_packages.sh", "!ui"]

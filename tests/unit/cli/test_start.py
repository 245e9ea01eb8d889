import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "kfp", "kserve", "mlflow", "sklearn", "numpy", "pandas", "matplotlib", "kubernetes")


def test_help_imports_nothing_heavy():
    check = f"import sys, cli.__main__; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    ["demo", "run", "compile", "graph", "serve", "predict", "ela", "doctor", "data make", "data describe", "model show",
     "model verify", "rollout history", "rollout status", "rollout undo", "rollout deploy"],
)  # fmt: skip
def test_every_command_explains_itself(command):
    answer = forgery(*command.split(), "--help")
    assert answer.returncode == 0
    assert "forgery" in answer.stdout


def test_an_error_is_one_line_and_its_exit_code(tmp_path):
    answer = forgery("run", "--set", "bakbone=cnn", cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.startswith("forgery: unknown parameter 'bakbone'")
    assert len(answer.stderr.splitlines()) == 1


def test_nothing_in_service_is_said_with_the_way_out(tmp_path):
    answer = forgery("predict", __file__, cwd=tmp_path)
    assert answer.returncode == 5
    assert "forgery run" in answer.stderr


def forgery(*arguments, cwd=None):
    return subprocess.run([sys.executable, "-m", "cli", *arguments], capture_output=True, text=True, cwd=cwd)

"""`forgery demo`: the whole platform on this machine in a few minutes."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("demo")(demo)


def demo() -> None:
    """Show the whole platform here: train, prove, deploy, serve, hold back, roll forward and back.

    Needs no account, no data and no network. Everything is made anew under FORGERY_HOME/demo; takes a few minutes.

    Example: forgery demo
    """
    from cli.home import Home
    from cli.tour import take_tour

    take_tour(Home(Home.from_environment().path / "demo"))

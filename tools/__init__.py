"""Scripts of development: set-up, generated documents, checks. Nothing that runs imports them."""

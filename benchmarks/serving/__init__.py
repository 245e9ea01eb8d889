"""What serving costs beyond its arithmetic: both servers, their rivals and their callers on the same two cores."""

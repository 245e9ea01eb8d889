"""Deploy, history and rollback of the model in service, against one port with an adapter for each place."""

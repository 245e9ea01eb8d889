"""What the service sees, compared with what its model was measured on."""

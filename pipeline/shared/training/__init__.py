"""One training, on one to many devices, as tune and train start it."""

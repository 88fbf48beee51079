"""Find each size's learning rate by held-out loss by trainings of which the best goes on."""

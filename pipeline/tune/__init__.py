"""Find each size's learning rate by held-out loss after short trainings."""

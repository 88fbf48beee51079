"""What the models are asked: one file per evaluation set, and the stage that prepares them."""

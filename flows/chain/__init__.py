"""DVC's stages in the order of dvc.yaml, each below a supervisor that ends it with its run."""

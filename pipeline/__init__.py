"""The stages of the study: a folder is a stage, a file is shared by several."""

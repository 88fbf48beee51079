"""The stages of the study and its commands: a folder each; `shared` holds what several need."""

from pipeline.shared.running.faults import explain_while_loading

explain_while_loading()

"""python -m pipeline.node: what needs a GPU, done on a machine with little installed."""

from pipeline.node.command import main

if __name__ == "__main__":
    main()

"""Run with `python -m pipeline.report --help`."""

from pipeline.report.run import run
from pipeline.report.study import READS
from pipeline.shared.running.stage import Definition, main

if __name__ == "__main__":
    main(
        Definition(
            name="report",
            description="Draw Figures 1-5, write Tables 2-6 and one self-contained page, "
            "from the artefacts of the other stages alone.",
            inputs={"study": "folder of what all other stages made, by stage"},
            sections=(
                "sizes",
                "seeds",
                "sample_web",
                "eval_sets",
                "links",
                "crawl",
                "extract",
                "dedup",
                "tokenize",
                "tune",
                "train",
                "models",
                "evaluate",
                "overlap",
                "report",
            ),
            run=run,
            reads={"study": READS},
        )
    )

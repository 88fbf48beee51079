"""`python -m pipeline.crawl`: from Reddit links, or a ready corpus, to documents."""

from pipeline import stage
from pipeline.crawl.run import run

if __name__ == "__main__":
    stage.main(
        stage.Definition(
            name="crawl",
            description="Choose links, fetch their pages politely and keep their main text.",
            inputs={
                "links": "folder of Reddit submissions, where crawl.source is sample_web",
                "site": "folder of the web that is then served on loopback",
            },
            sections=("crawl",),
            run=run,
        )
    )

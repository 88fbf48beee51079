"""`python -m pipeline.crawl`: from links to their pages, in the archive and beside a table."""

from pipeline.crawl.run import run
from pipeline.shared.running import stage

if __name__ == "__main__":
    stage.main(
        stage.Definition(
            name="crawl",
            description="Fetch politely what the archive lacks of the links' pages.",
            inputs={
                "links": "folder of links that the links stage made",
                "site": "folder of the web that is served on loopback for links.source sample_web",
            },
            sections=("links.source", "crawl"),
            run=run,
            again=True,
        )
    )

"""`python -m pipeline.extract`: from pages, or a ready corpus, to documents."""

from pipeline.extract.run import run
from pipeline.shared.running import stage

if __name__ == "__main__":
    stage.main(
        stage.Definition(
            name="extract",
            description="Keep the main text of pages, or of a ready corpus, as documents.",
            inputs={"pages": "folder of what became of each link, which the crawl stage made"},
            sections=("crawl.max_body_bytes", "extract"),
            run=run,
        )
    )

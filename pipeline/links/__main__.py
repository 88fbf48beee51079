"""`python -m pipeline.links`: from dumps of Reddit submissions to the links to follow."""

from pipeline.links.run import run
from pipeline.shared.running import stage

if __name__ == "__main__":
    stage.main(
        stage.Definition(
            name="links",
            description="Choose the links of Reddit submissions whose pages make the corpus.",
            inputs={"dumps": "folder of Reddit submissions, where links.source is sample_web"},
            sections=("links",),
            run=run,
        )
    )

"""`python -m pipeline.sample_web`: see `--help`."""

from pipeline.sample_web.run import run
from pipeline.shared.running.stage import Definition, main

if __name__ == "__main__":
    main(
        Definition(
            name="sample_web",
            description=(
                "Make the built-in web from the documentation of installed packages, so that a\n"
                "study needs no network: HTML pages with good and bad manners (site/), Reddit\n"
                "submissions that link to them (links/), and evaluation files in the published\n"
                "formats made from text held out of the web (eval/).\n\n"
                "site/truth.parquet says what each URL truly is, for checks of crawl and dedup.\n"
                "To look at the pages:  python -m pipeline.shared.web.server --help\n"
                "Pages, text and held-out part: profiles.<profile>.sample_web in params.yaml."
            ),
            inputs={"constraints": "constraints.txt, which says whose documentation it is"},
            sections=["seeds.corpus", "sample_web"],
            run=run,
        )
    )

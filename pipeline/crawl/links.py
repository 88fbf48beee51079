"""Which submissions give a link to follow: WebText's recipe, each rule with a name and a count.

The paper: outbound links from posts with at least 3 karma, none made after December 2017, no
Wikipedia. The model card adds a blocklist of subreddits; media are left out because they hold no
text. One link per page, its first submission's.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from pipeline.crawl.canonical import BadUrlError, canonical_url, host_of
from pipeline.crawl.frontier import Frontier, Link
from pipeline.crawl.remote_file import open_place
from pipeline.crawl.submissions import BadLine, Submission, find_dumps, read_submissions
from pipeline.documents import shard_paths
from pipeline.params_text import CrawlParams
from pipeline.progress import Progress

CORRUPT = "corrupt_line"
DUPLICATE = "duplicate_url"
KNOWN = "fetched_before"
KEPT = "kept"
_BAD_LINES_SHOWN = 5  # per dump; all are counted

_REDDIT = ("reddit.com", "redd.it", "redditmedia.com", "redditstatic.com", "reddituploads.com")
_WIKIPEDIA = ("wikipedia.org", "wikipedia.com", "wikimedia.org")
_MEDIA = (
    *("imgur.com", "gfycat.com", "giphy.com", "flickr.com", "instagram.com", "instagr.am"),
    *("youtube.com", "youtu.be", "vimeo.com", "twitch.tv", "streamable.com", "vid.me", "vine.co"),
    *("dailymotion.com", "liveleak.com", "soundcloud.com", "spotify.com", "bandcamp.com"),
    *("min.us", "minus.com", "quickmeme.com", "qkme.me", "livememe.com", "memegenerator.net"),
    *("photobucket.com", "tinypic.com", "imageshack.us", "postimg.org", "deviantart.com"),
    *("pornhub.com", "xvideos.com", "redtube.com", "xhamster.com", "youporn.com"),
    *("twitter.com", "facebook.com", "snapchat.com", "tumblr.media", "twimg.com", "ytimg.com"),
)
_MEDIA_SUFFIX = re.compile(
    r"\.(jpe?g|png|gifv?|webp|bmp|tiff?|svg|ico|psd|mp4|webm|mov|avi|mkv|flv|wmv|m4[av]|mpe?g|mp3|ogg"
    r"|wav|flac|aac|pdf|ps|docx?|xlsx?|pptx?|odt|rtf|epub|mobi|zip|gz|bz2|xz|7z|rar|tar|tgz|exe|msi"
    r"|dmg|iso|apk|jar|deb|rpm|bin|swf|torrent|css|js|json|xml|rss|atom|csv)",
    re.IGNORECASE,
)


class Rules(NamedTuple):
    """The parameters of the choice."""

    min_score: int
    cut_off_utc: int
    """Links made at this second or later are left out."""
    since_utc: int
    """Links made before this second are left out."""
    blocked_subreddits: frozenset[str]


def make_rules(params: CrawlParams) -> Rules:
    """The rules that the parameters give."""
    blocked = frozenset(name.lower() for name in params.blocked_subreddits)
    since_utc = _midnight(params.since) if params.since else -(2**63)
    return Rules(params.min_score, _midnight(params.cut_off), since_utc, blocked)


def _midnight(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())


def judge(submission: Submission, rules: Rules) -> Link | str:
    """The link of a submission, or the name of the rule that leaves it out."""
    reason = _judge_submission(submission, rules)
    if reason:
        return reason
    try:
        url = canonical_url(submission.url)
    except BadUrlError:
        return "unusable_url"
    host = host_of(url)
    reason = _judge_target(url, host)
    if reason:
        return reason
    return Link(
        url=url,
        host=host,
        original_url=submission.url,
        score=submission.score,
        created_utc=submission.created_utc,
        subreddit=submission.subreddit,
    )


def is_wikipedia(host: str) -> bool:
    """Whether a host is Wikipedia's, in any language.

    >>> is_wikipedia("en.m.wikipedia.org"), is_wikipedia("notwikipedia.org")
    (True, False)
    """
    return _belongs(host, _WIKIPEDIA)


def _judge_submission(submission: Submission, rules: Rules) -> str:
    if submission.is_self:
        return "self_post"
    if submission.score < rules.min_score:
        return "low_score"
    if not rules.since_utc <= submission.created_utc < rules.cut_off_utc:
        return "before_since" if submission.created_utc < rules.since_utc else "after_cut_off"
    if submission.over_18:
        return "over_18"
    if submission.subreddit.lower() in rules.blocked_subreddits:
        return "blocked_subreddit"
    return ""


def _judge_target(url: str, host: str) -> str:
    if _belongs(host, _REDDIT):
        return "reddit"
    if is_wikipedia(host):
        return "wikipedia"
    if _belongs(host, _MEDIA):
        return "media_host"
    name = url.partition("?")[0].rpartition("/")[2]
    if _MEDIA_SUFFIX.fullmatch(name[max(name.rfind("."), 0) :]):
        return "media_file"
    return ""


def _belongs(host: str, domains: tuple[str, ...]) -> bool:
    return host.endswith(domains) and any(
        host == domain or host.endswith("." + domain) for domain in domains
    )


def collect_links(
    places: Sequence[Path],
    rules: Rules,
    frontier: Frontier,
    progress: Progress,
    log: logging.Logger,
) -> Counter[str]:
    """Put the links of all dumps at `places` into the frontier; returns counts by rule.

    Each dump is one transaction: a kill costs at most the dump at hand.

    Raises:
        CorruptDataError: a dump is truncated or damaged.
    """
    for path in find_dumps(places):
        if str(path) in frontier.dumps_read():
            continue
        with frontier.reading(str(path)) as counts:
            for link in _judged(path, rules, counts, log):
                if frontier.is_known(link.url):
                    counts[KNOWN] += 1
                else:
                    counts[KEPT if frontier.add(link) else DUPLICATE] += 1
                progress.update(note=path.name)
    return frontier.link_counts()


def read_known(folders: Sequence[Path], frontier: Frontier) -> None:
    """Tell the frontier what earlier crawls have brought to an end, whatever became of it.

    Raises:
        CorruptDataError: a folder is not one that the crawl stage left.
    """
    for part in (folder / name for folder in folders for name in ("documents", "rejected")):
        if str(part) in frontier.dumps_read():
            continue
        with frontier.reading(str(part)):
            for path in shard_paths(part):
                with open_place(path) as file:
                    table = pq.read_table(file, columns=["url"])
                frontier.add_known(table.column("url").to_pylist())


def _judged(path: Path, rules: Rules, counts: Counter[str], log: logging.Logger) -> Iterator[Link]:
    for item in read_submissions(path):
        counts["submissions"] += 1
        if isinstance(item, BadLine):
            counts[CORRUPT] += 1
            if counts[CORRUPT] <= _BAD_LINES_SHOWN:
                log.warning("%s: line %d left out (%s)", path, item.number, item.problem)
            continue
        verdict = judge(item, rules)
        if isinstance(verdict, str):
            counts[verdict] += 1
        else:
            yield verdict

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

from pipeline.links.link_list import LinkList
from pipeline.links.submissions import BadLine, Submission, find_dumps, read_submissions
from pipeline.shared.formats.links import Link
from pipeline.shared.params.web import LinksParams
from pipeline.shared.running.progress import Progress
from pipeline.shared.web.canonical import BadUrlError, canonical_url, host_of
from pipeline.shared.web.hosts import belongs, is_wikipedia

CORRUPT = "corrupt_line"
DUPLICATE = "duplicate_url"
KEPT = "kept"
_BAD_LINES_SHOWN = 5  # per dump; all are counted

_REDDIT = ("reddit.com", "redd.it", "redditmedia.com", "redditstatic.com", "reddituploads.com")
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


class LinkRules(NamedTuple):
    """The parameters of the choice."""

    min_score: int
    cut_off_utc: int
    """Links made at this second or later are left out."""
    blocked_subreddits: frozenset[str]


def make_rules(params: LinksParams) -> LinkRules:
    """The rules that the parameters give."""
    blocked = frozenset(name.lower() for name in params.blocked_subreddits)
    return LinkRules(params.min_score, _midnight(params.cut_off), blocked)


def _midnight(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())


def judge(submission: Submission, rules: LinkRules) -> Link | str:
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
        original_url=submission.url,
        score=submission.score,
        created_utc=submission.created_utc,
        subreddit=submission.subreddit,
    )


def _judge_submission(submission: Submission, rules: LinkRules) -> str:
    if submission.is_self:
        return "self_post"
    if submission.score < rules.min_score:
        return "low_score"
    if submission.created_utc >= rules.cut_off_utc:
        return "after_cut_off"
    if submission.over_18:
        return "over_18"
    if submission.subreddit.lower() in rules.blocked_subreddits:
        return "blocked_subreddit"
    return ""


def _judge_target(url: str, host: str) -> str:
    if belongs(host, _REDDIT):
        return "reddit"
    if is_wikipedia(host):
        return "wikipedia"
    if belongs(host, _MEDIA):
        return "media_host"
    name = url.partition("?")[0].rpartition("/")[2]
    if _MEDIA_SUFFIX.fullmatch(name[max(name.rfind("."), 0) :]):
        return "media_file"
    return ""


def collect_links(
    places: Sequence[Path],
    rules: LinkRules,
    found: LinkList,
    progress: Progress,
    log: logging.Logger,
) -> Counter[str]:
    """Put the links of all dumps at `places` into the list; returns counts by rule.

    Each dump is one transaction: a kill costs at most the dump at hand.

    Raises:
        CorruptDataError: a dump is truncated or damaged.
    """
    for path in find_dumps(places):
        if str(path) in found.dumps_read():
            continue
        with found.reading(str(path)) as counts:
            for link in _judged(path, rules, counts, log):
                counts[KEPT if found.add(link) else DUPLICATE] += 1
                progress.update(note=path.name)
    return found.counts()


def _judged(
    path: Path, rules: LinkRules, counts: Counter[str], log: logging.Logger
) -> Iterator[Link]:
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

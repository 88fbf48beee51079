"""Parameters of URLs that say who came from where, and nothing of the page.

Two kept lists, as they stood in November 2026: what Brave takes off every address that it is led to
(brave-core, components/query_filter/utils.cc, the simple ones at commit 0c7f00e), and the campaign
parameters that Firefox takes off a link that is shared (gecko, StripOnShare.json at commit 010c6d3:
`utm_` and `hsa_`; not its `var` and `ymid`, which pages use, too). A name that is on neither, such
as `gid`, `msid` or `ref`, tells one page from another.
"""

from __future__ import annotations

_BRAVE = """
__hsfp __hssc __hstc __s _bhlid _branch_match_id _branch_referrer _gl _hsenc _kx _openstat
at_recipient_id at_recipient_list bbeml bsft_clkid bsft_uid dclid et_rid fb_action_ids fb_comment_id
fbclid gclid guce_referrer guce_referrer_sig hsCtaTracking irclickid mc_eid ml_subscriber
ml_subscriber_hash msclkid mtm_cid oft_c oft_ck oft_d oft_id oft_ids oft_k oft_lk oft_sk oly_anon_id
oly_enc_id pk_cid rb_clickid s_cid sc_customer sc_eh sc_uid srsltid ss_email_id twclid
unicorn_click_id vero_conv vero_id vgo_ee wbraid wickedid yclid ymclid ysclid
"""
_FIREFOX = """
utm_ad utm_affiliate utm_brand utm_campaign utm_campaignid utm_channel utm_cid utm_content
utm_creative utm_emcid utm_emmid utm_id utm_id_ utm_keyword utm_medium utm_name utm_place
utm_product utm_pubreferrer utm_reader utm_referrer utm_serial utm_session utm_siteid utm_social
utm_social-type utm_source utm_supplier utm_swu utm_term utm_umguk utm_userid utm_viz_id
hsa_grp hsa_cam hsa_src hsa_ad hsa_acc hsa_kw hsa_tgt hsa_ver hsa_la hsa_ol hsa_net hsa_mt
"""
TRACKERS = frozenset((_BRAVE + _FIREFOX).split())


def without_trackers(query: str) -> str:
    """A query without its trackers and empty parts, all else as it is.

    >>> without_trackers("gid=1&utm_source=x&&ref=a&fbclid")
    'gid=1&ref=a'
    """
    pairs = [pair for pair in query.split("&") if pair]
    return "&".join(pair for pair in pairs if pair.partition("=")[0] not in TRACKERS)

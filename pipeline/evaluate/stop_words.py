"""Words that hardly ever end a LAMBADA passage: the paper's filter, whose list is unpublished.

The closed classes of English: articles, pronouns, prepositions, conjunctions, auxiliaries and a
few adverbs. No content word is among them.
"""

from __future__ import annotations

_CLOSED_CLASSES = """
a an the this that these those
i me my mine myself you your yours yourself he him his himself she her hers herself
it its itself we us our ours ourselves they them their theirs themselves
who whom whose which what when where why how
am is are was were be been being have has had having do does did doing
will would shall should can could may might must ought
and but or nor so yet if because as until while although though unless than whether
of at by for with about against between into through during before after above below to from
up down in out on off over under upon onto toward towards within without
again further then once here there all any both each few more most other some such
no not only own same too very just also even still ever never now
"""
STOP_WORDS = frozenset(_CLOSED_CLASSES.split())

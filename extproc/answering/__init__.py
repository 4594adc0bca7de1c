"""How a provider's answer becomes the client's: untouched, translated, or as an error. One small class a way.

Each is fed the provider's bytes and gives events in the client's dialect: whole server-sent events, or the whole body as one. While
that goes on it learns the answer's usage, and whether it came to its proper end. What is no answer is logged once, by the request's id
and without anything of its content.
"""

from extproc.answering.choose import choose
from extproc.answering.failure import Failure, Told
from extproc.answering.retold import Retell, Retold
from extproc.answering.terms import DROPPED, TRAILERS_FIRST, BrokenAnswer, Terms, dropped
from extproc.answering.translated import StreamTranslated, WholeTranslated
from extproc.answering.uncounted import Uncounted
from extproc.answering.unpacked import Unpacked
from extproc.answering.untouched import STILLBORN, StreamUntouched, Untouched, WholeUntouched
from extproc.answering.way import BUFFERED_AT_MOST, Answering

__all__ = [
    "BUFFERED_AT_MOST", "DROPPED", "STILLBORN", "TRAILERS_FIRST", "Answering", "BrokenAnswer", "Failure", "Retell", "Retold",
    "StreamTranslated", "StreamUntouched", "Terms", "Told", "Uncounted", "Unpacked", "Untouched", "WholeTranslated", "WholeUntouched",
    "choose", "dropped",
]  # fmt: skip

"""The internal form of a conversation, an answer and a stream: what lies between two dialects.

Every dialect reads into these types and writes out of them, so N dialects are N pieces of code and not N². Rules:

- A message, a block or a tool keeps what its dialect said and the hub has no word for in `extra`, by its own name. A writer of the same
  dialect puts it back; any other names it in `dropped`.
- What nobody else could miss (an item's id, its state) is `local` instead of `extra`: put back as well, and never named.
- A block that only one dialect has (a server-side tool's result, say) travels whole, as `Opaque`.
- Several choices (`n` > 1) are several `Choice`s, and stream events carry the number of theirs. A dialect without choices writes the first.
- Tool arguments are JSON text, as the model wrote them: it may have been cut off, and is then no JSON.
"""

from extproc.dialects.hub.answer import Answer, Choice, StopReason
from extproc.dialects.hub.blocks import (
    Audio,
    Block,
    Cache,
    Citation,
    Document,
    Extra,
    Image,
    Logprob,
    Opaque,
    Reasoning,
    Refusal,
    Seal,
    Text,
    ToolCall,
    ToolResult,
    Video,
    kind_of,
)
from extproc.dialects.hub.conversation import INSTRUCTING, Conversation, Custom, Format, Message, Thinking, Tool, ToolChoice
from extproc.dialects.hub.count import Count
from extproc.dialects.hub.embedding import Embedded, Embedding, Passage, Vector
from extproc.dialects.hub.question import Question
from extproc.dialects.hub.rerank import Ranked, Ranking, Rerank
from extproc.dialects.hub.stream import (
    ArgumentsDelta,
    Aside,
    BlockStart,
    BlockStop,
    CitationDelta,
    Error,
    Finish,
    OpaqueDelta,
    Ping,
    ReasoningDelta,
    SignatureDelta,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    Used,
)

__all__ = [
    "INSTRUCTING",
    "Answer",
    "ArgumentsDelta",
    "Aside",
    "Audio",
    "Block",
    "BlockStart",
    "BlockStop",
    "Cache",
    "Choice",
    "Citation",
    "CitationDelta",
    "Conversation",
    "Count",
    "Custom",
    "Document",
    "Embedded",
    "Embedding",
    "Error",
    "Extra",
    "Finish",
    "Format",
    "Image",
    "Logprob",
    "Message",
    "Opaque",
    "OpaqueDelta",
    "Passage",
    "Ping",
    "Question",
    "Ranked",
    "Ranking",
    "Reasoning",
    "ReasoningDelta",
    "Refusal",
    "Rerank",
    "Seal",
    "SignatureDelta",
    "Start",
    "Stop",
    "StopReason",
    "StreamEvent",
    "Text",
    "TextDelta",
    "Thinking",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "Used",
    "Vector",
    "Video",
    "kind_of",
]

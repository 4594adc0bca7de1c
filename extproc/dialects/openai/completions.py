"""OpenAI's legacy completions, a form of a conversation: https://platform.openai.com/docs/api-reference/completions

The prompt is what a user says, and the answer is text. Providers of this dialect are asked for the same; to others it is a conversation of
one message. Several prompts in one request, or prompts in tokens, are more than one conversation can say: they are refused.
"""

import time
from typing import Any

from extproc.dialects.fields import FieldError, need_str, obj, refusing, take_bool, take_int, take_number, take_obj, take_str
from extproc.dialects.hub import Answer, Block, Choice, Conversation, Extra, Logprob, Message, Refusal, StopReason, Text, kind_of
from extproc.dialects.openai.answer import read_stop, read_whole, write_stop
from extproc.dialects.openai.parts import NAME
from extproc.dialects.openai.request_read import take_stop
from extproc.dialects.openai.tokens import write_usage
from extproc.dialects.openai.words import COMPLETION_WORDS
from extproc.dialects.quirks import NONE, Quirks, finished

FORM = "completions"
"""Stands in `Question.asked`, with what the answer is to begin with (`echo`)."""

_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_COUNTS = ("max_tokens", "n", "seed")


class Completions:
    """See `dialect.Operation`."""

    def read_request(self, body: Extra) -> Conversation:
        with refusing():
            rest = obj(body, "$")
            model = need_str(rest, "model")
            prompt = _prompt(rest)
            echo = take_bool(rest, "echo")
            asked: Extra = {FORM: {"echo": prompt if echo else ""}}
            message = Message(role="user", blocks=[Text(prompt)], plain=type(body.get("prompt")) is str)
            conversation = Conversation(dialect=NAME, words=COMPLETION_WORDS, model=model, messages=[message], extra=rest, asked=asked)
            if echo is not None:
                conversation.local["echo"] = echo
            for field in _NUMBERS:
                setattr(conversation, field, take_number(rest, field))
            for field in _COUNTS:
                setattr(conversation, field, take_int(rest, field))
            take_stop(conversation, rest)
            if (likeliest := take_int(rest, "logprobs")) is not None:
                conversation.logprobs, conversation.top_logprobs = True, likeliest
            conversation.user, conversation.stream = take_str(rest, "user"), take_bool(rest, "stream")
            if (options := take_obj(rest, "stream_options")) is not None:
                options = options.copy()
                conversation.include_usage = take_bool(options, "include_usage", "stream_options.")
                rest["stream_options"] = options
            return conversation

    def write_request(self, question: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
        """Only what came in this form is asked in it: whoever has it has conversations, too."""
        (message,) = question.messages
        (text,) = (block.text for block in message.blocks if type(block) is Text)
        body: Extra = {**question.extra, "model": model, "prompt": text if message.plain else [text], **question.local}
        for field in (*_NUMBERS, *_COUNTS, "user", "stream"):
            if (value := getattr(question, field)) is not None:
                body[field] = value
        if question.stop is not None:
            body["stop"] = question.stop[0] if question.stop_plain else question.stop
        if question.logprobs:
            body["logprobs"] = question.top_logprobs
        if question.include_usage is not None:
            body["stream_options"] = {**body.get("stream_options", {}), "include_usage": question.include_usage}
        return finished(body, quirks, question.drop)

    def read_answer(self, body: Extra) -> Answer:
        return read_whole(body, "text_completion", _read_choice)

    def write_answer(self, answer: Answer) -> Extra:
        own = answer.dialect == NAME
        head: Extra = {**answer.extra} if own else {}
        head |= {"id": answer.id, "object": "text_completion", "created": answer.created or int(time.time()), "model": answer.model}
        head["choices"] = [_write_choice(choice, answer, own=own) for choice in answer.choices]
        if own and answer.usage_raw is not None:
            head["usage"] = answer.usage_raw
        elif answer.usage is not None:
            head["usage"] = write_usage(answer.usage)
        return head


def _prompt(rest: Extra) -> str:
    prompt = rest.pop("prompt", None)
    if type(prompt) is str:
        return prompt
    if type(prompt) is list and len(prompt) == 1 and type(prompt[0]) is str:
        return prompt[0]
    raise FieldError("prompt", "a string (this model's provider takes one prompt a request, and no tokens)", prompt)


def _read_choice(value: Any, path: str, position: int) -> Choice:
    rest = obj(value, path)
    path += "."
    text, word, index = need_str(rest, "text", path), take_str(rest, "finish_reason", path), take_int(rest, "index", path)
    stop = None if word is None else read_stop(word, rest.get("stop_reason"))
    return Choice(index=position if index is None else index, blocks=[Text(text)], stop=stop, stop_raw=word, extra=rest)


def _write_choice(choice: Choice, answer: Answer, *, own: bool) -> Extra:
    text = said(choice.blocks, answer)
    if own:
        return {**choice.extra, "text": text, "index": choice.index, "finish_reason": choice.stop_raw}
    echo = answer.asked.get(FORM, {}).get("echo", "")
    told = [one for block in choice.blocks if type(block) is Text for one in block.logprobs or ()]
    stop = finish(write_stop(choice.stop or StopReason.END))
    return {"text": echo + text, "index": choice.index, "logprobs": likely(told, len(echo)), "finish_reason": stop}


def finish(word: str) -> str:
    """A `finish_reason` that this form knows."""
    return "stop" if word == "tool_calls" else word


def said(blocks: list[Block], answer: Answer) -> str:
    """The text of an answer; names what is no text."""
    for block in blocks:
        name = f"blocks[].{kind_of(block)}"
        if not isinstance(block, Text | Refusal) and name not in answer.dropped:
            answer.dropped.append(name)
    return "".join(block.text for block in blocks if isinstance(block, Text | Refusal))


def likely(logprobs: list[Logprob], offset: int) -> Extra | None:
    """`logprobs` in this form: tokens that begin `offset` characters after the text does, side by side with the rest."""
    if not logprobs:
        return None
    offsets: list[int] = []
    for one in logprobs:
        offsets.append(offset)
        offset += len(one.token)
    return {
        "tokens": [one.token for one in logprobs],
        "token_logprobs": [one.logprob for one in logprobs],
        "top_logprobs": [{other.token: other.logprob for other in one.top} for one in logprobs],
        "text_offset": offsets,
    }

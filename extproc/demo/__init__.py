"""The demo provider: answers without a key in OpenAI's and Anthropic's grammar, and misbehaves when the request asks it to."""

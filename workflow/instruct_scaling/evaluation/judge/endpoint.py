"""One chat request to an OpenAI-compatible endpoint, and what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import openai
from openai.types.chat import ChatCompletion

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.judges import LlmJudge
from instruct_scaling.evaluation.judge.judgements import Outcome, missing


@dataclass(frozen=True, slots=True)
class Reply:
    """The judge's text, or the outcome that replaces it, with the tokens it took."""

    text: str | None
    failure: Outcome | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Endpoint:
    """A client of the judge's endpoint. Messages never hold the key.

    Use it inside one event loop and close it there.

    Args:
        judge: model, settings, time-out and retries.
        key: API key; local servers take any.
        base_url: the endpoint's URL, usually ending in /v1; None for the client's own default.
    """

    def __init__(self, judge: LlmJudge, key: str, base_url: str | None) -> None:
        self.judge = judge
        self._key = key
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=base_url,
            timeout=judge.timeout_seconds,
            max_retries=judge.max_retries,
        )

    @classmethod
    def from_environment(cls, judge: LlmJudge) -> Endpoint:
        """A client with key and URL from the variables that the judge's config names.

        Raises:
            InputError: the key's variable is not set.
        """
        key = os.environ.get(judge.api_key_env, "").strip()
        if not key:
            raise InputError(
                f"the environment variable {judge.api_key_env} holds no key",
                where="judges",
                fix=f"export {judge.api_key_env}=... (any text for a local server without keys)",
            )
        base_url = os.environ.get(judge.base_url_env, "").strip() or None
        return cls(judge, key, base_url)

    async def check(self) -> None:
        """Try the endpoint once, at no cost, before thousands of requests.

        Raises:
            InputError: it cannot be reached or does not accept the key.
        """
        try:
            await self._client.with_options(max_retries=0).models.list()
        except (openai.AuthenticationError, openai.APIConnectionError) as error:
            raise self._fatal(error) from None
        except openai.APIError:
            return  # not every server lists its models

    async def ask(self, prompt: str, seed: int) -> Reply:
        """Send one prompt.

        Raises:
            InputError: what will fail for every other prompt too: wrong key, unknown model or
                URL, no connection after all retries.
        """
        try:
            completion = await self._client.chat.completions.create(
                model=self.judge.model,
                messages=[{"role": "user", "content": prompt}],
                temperature=self.judge.temperature,
                max_tokens=self.judge.max_tokens,
                seed=seed,
            )
        except openai.APITimeoutError:
            return Reply(None, missing("timeout", "no answer in time, after all retries"))
        except (
            openai.AuthenticationError,
            openai.PermissionDeniedError,
            openai.NotFoundError,
            openai.APIConnectionError,
        ) as error:
            raise self._fatal(error) from None
        except (openai.APIError, ValueError) as error:  # ValueError: a body that is not JSON
            return Reply(None, missing("http_error", self._clean(error)))
        return _read(completion)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _clean(self, error: Exception) -> str:
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, openai.APIStatusError):  # not every server's body is in the message
            text = f"{type(error).__name__} {error.status_code}: {error.response.text}"
        return text.replace(self._key, "***")[:1000]

    def _fatal(self, error: openai.APIError) -> InputError:
        judge, url = self.judge, self._client.base_url
        if isinstance(error, openai.APIConnectionError):
            fix = f"start the server or correct {judge.base_url_env}, then run the command again"
            return InputError(f"no connection to {url}", where="llm judge", fix=fix)
        if isinstance(error, openai.NotFoundError):
            fix = f"check the judge's `model` ({judge.model}) and {judge.base_url_env} ({url})"
        else:
            fix = f"check the key in {judge.api_key_env} and that it may use {judge.model}"
        return InputError(f"{url}: {self._clean(error)}", where="llm judge", fix=fix)


def _read(completion: object) -> Reply:
    """The reply in a completion, whatever a server that is not quite compatible sent."""
    if not isinstance(completion, ChatCompletion) or not completion.choices:
        return Reply(None, missing("http_error", "the endpoint's answer is no chat completion"))
    usage = completion.usage
    tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
    message = completion.choices[0].message
    refusal = getattr(message, "refusal", None)
    if refusal:
        return Reply(None, missing("empty", f"refused: {refusal}"), *tokens)
    if message is None or not (message.content or "").strip():
        reason = f"empty reply (finish reason {completion.choices[0].finish_reason})"
        return Reply(None, missing("empty", reason), *tokens)
    return Reply(message.content, None, *tokens)

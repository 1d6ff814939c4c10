"""Tell someone that a run failed: one POST of JSON that chat services understand."""

from __future__ import annotations

from baimo.pipeline.errors import SourceError
from baimo.pipeline.sources.http import CONNECT_SECONDS, READ_SECONDS, failure_words, host

_LONGEST = 500


def post_failure(address: str, *, job: str, day: str, run_id: str, why: list[str]) -> None:
    """Post {"text": ..., "job": ..., "day": ..., "run_id": ..., "why": [...]}.

    Raises
    ------
    SourceError
        The address did not accept it. Only its host is named: the path of such addresses is a key.
    """
    import requests

    short = [" ".join(reason.split())[:_LONGEST] for reason in why]
    message = {
        "text": f"baimo: {job} of {day or 'no day'} failed: {short[0]}",
        "job": job,
        "day": day,
        "run_id": run_id,
        "why": short,
    }
    try:
        answer = requests.post(
            address,
            json=message,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
        )
    except (requests.RequestException, OSError) as error:
        try:
            named = host(address)
        except ValueError:
            raise SourceError("BAIMO_WEBHOOK is no address; check it") from None
        raise SourceError(f"{named}: {failure_words(error)}; check BAIMO_WEBHOOK") from None
    if answer.status_code >= 300:
        raise SourceError(f"{host(address)}: HTTP {answer.status_code}; check BAIMO_WEBHOOK")

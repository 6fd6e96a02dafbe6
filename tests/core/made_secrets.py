"""Made-up secrets of every kind, put together at run time so that none lies in the repository; and placeholders."""

from __future__ import annotations

import base64
import json
import random
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_HEX = "0123456789abcdef"
_WORD = string.ascii_letters + string.digits
_BASE64 = _WORD + "+/"
_URL_SAFE = _WORD + "-_"


def _some(rng: random.Random, chars: str, count: int) -> str:
    return "".join(rng.choice(chars) for _ in range(count))


def _uuid(rng: random.Random) -> str:
    return "-".join(_some(rng, _HEX, count) for count in (8, 4, 4, 4, 12))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _jwt(rng: random.Random) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": _some(rng, _WORD, 12)}))
    return ".".join([*map(_base64url, parts), _base64url(rng.randbytes(32))])


def _pem(rng: random.Random, kind: str, *, line_end: str = "\n") -> str:
    body = base64.b64encode(rng.randbytes(400)).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    edge = "-" * 5
    return line_end.join([f"{edge}BEGIN {kind}{edge}", *lines, f"{edge}END {kind}{edge}"])


def _service_account(rng: random.Random) -> str:
    key = _pem(rng, "PRIVATE KEY") + "\n"
    return json.dumps({"type": "service_account", "private_key_id": _some(rng, _HEX, 40), "private_key": key})


def _begun(begin: str, chars: str, count: int) -> Callable[[random.Random], str]:
    # The beginning is cut in two in this file for no other reason than that it does not stand here whole.
    return lambda rng: begin.replace("~", "") + _some(rng, chars, count)


def _url(scheme: str, host: str) -> Callable[[random.Random], str]:
    return lambda rng: f"{scheme}:/" + f"/svc:{_some(rng, _WORD, 18)}@{host}.prod.acme-corp.net/data"


def _named(name: str, chars: str, count: int, tail: str = "") -> Callable[[random.Random], str]:
    return lambda rng: f"{name}={_some(rng, chars, count)}{tail}"


SECRETS: dict[str, Callable[[random.Random], str]] = {
    "AWS key id": _begun("AK~IA", string.ascii_uppercase + "234567", 16),
    "AWS temporary key id": _begun("AS~IA", string.ascii_uppercase + "234567", 16),
    "AWS secret": _named("aws_secret_access_key", _BASE64, 40),
    "AWS secret in JSON": lambda rng: json.dumps({"SecretAccessKey": _some(rng, _BASE64, 40)}),
    "GitHub classic": _begun("gh~p_", _WORD, 36),
    "GitHub fine-grained": lambda rng: "github_" + f"pat_{_some(rng, _WORD, 22)}_{_some(rng, _WORD, 59)}",
    "GitHub OAuth": _begun("gh~o_", _WORD, 36),
    "GitHub user": _begun("gh~u_", _WORD, 36),
    "GitHub App": _begun("gh~s_", _WORD, 36),
    "GitHub refresh": _begun("gh~r_", _WORD, 76),
    "GitLab": _begun("gl~pat-", _URL_SAFE[:62], 20),
    "GitLab runner": _begun("gl~rt-", _URL_SAFE[:62], 20),
    "GitLab CI": _begun("gl~cbt-", _URL_SAFE[:62], 24),
    "GitLab deploy": _begun("gl~dt-", _URL_SAFE[:62], 20),
    "Slack bot": lambda rng: (
        "xo" + f"xb-{_some(rng, string.digits, 12)}-{_some(rng, string.digits, 12)}-{_some(rng, _WORD, 24)}"
    ),
    "Slack user": lambda rng: (
        "xo" + f"xp-{_some(rng, string.digits, 12)}-{_some(rng, string.digits, 12)}-{_some(rng, _HEX, 32)}"
    ),
    "Slack app": lambda rng: (
        "xa" + f"pp-1-A{_some(rng, string.ascii_uppercase, 10)}-{_some(rng, string.digits, 13)}-{_some(rng, _HEX, 64)}"
    ),
    "Slack webhook": lambda rng: (
        f"https://hooks.slack.com/services/T{_some(rng, _WORD, 10)}/B{_some(rng, _WORD, 10)}/{_some(rng, _WORD, 24)}"
    ),
    "Stripe": _begun("sk_~live_", _WORD, 24),
    "Stripe restricted": _begun("rk_~live_", _WORD, 24),
    "Stripe webhook": _begun("wh~sec_", _WORD, 32),
    "Google API": _begun("AI~za", _URL_SAFE[:62], 35),
    "Google OAuth secret": _begun("GOC~SPX-", _WORD, 28),
    "Google OAuth token": _begun("ya~29.", _URL_SAFE[:62], 120),
    "GCP service account": _service_account,
    "OpenAI old": lambda rng: "s" + f"k-{_some(rng, _WORD, 20)}T3Blb" + f"kFJ{_some(rng, _WORD, 20)}",
    "OpenAI project": _begun("sk-~proj-", _WORD, 120),
    "OpenAI service account": _begun("sk-~svcacct-", _WORD, 100),
    "Anthropic": _begun("sk-~ant-api03-", _WORD, 93),
    "OpenRouter": _begun("sk-~or-v1-", _HEX, 64),
    "xAI": _begun("xa~i-", _WORD, 80),
    "Groq": _begun("gs~k_", _WORD, 52),
    "Perplexity": _begun("pp~lx-", _WORD, 48),
    "Replicate": _begun("r~8_", _WORD, 37),
    "npm": _begun("np~m_", _WORD, 36),
    "PyPI": _begun("py~pi-AgEIcHlwaS5vcmc", _WORD, 130),
    "RubyGems": _begun("ruby~gems_", _HEX, 48),
    "Hugging Face": _begun("h~f_", string.ascii_letters, 34),
    "Docker Hub": _begun("dc~kr_pat_", _WORD, 27),
    "Telegram": lambda rng: f"{rng.randrange(10**8, 10**10 - 1)}:A" + f"A{_some(rng, _WORD, 33)}",
    "Discord": lambda rng: f"M{_some(rng, _WORD, 23)}.{_some(rng, _WORD, 6)}.{_some(rng, _WORD, 38)}",
    "Discord webhook": lambda rng: (
        "https://discord" + f".com/api/webhooks/{_some(rng, '123456789', 18)}/{_some(rng, _WORD, 68)}"
    ),
    "Twilio": _named("TWILIO_AUTH_TOKEN", _HEX, 32),
    "Twilio key": _begun("S~K", _HEX, 32),
    "SendGrid": lambda rng: "S" + f"G.{_some(rng, _WORD, 22)}.{_some(rng, _WORD, 43)}",
    "Mailgun": _begun("ke~y-", _HEX, 32),
    "Mailchimp": lambda rng: f"{_some(rng, _HEX, 32)}-u" + "s14",
    "Railway": lambda rng: f"RAILWAY_TOKEN={_uuid(rng)}",
    "Heroku": lambda rng: f'heroku_api_key: "{_uuid(rng)}"',
    "Cloudflare": _named("CLOUDFLARE_API_TOKEN", _WORD, 40),
    "DigitalOcean": _begun("do~p_v1_", _HEX, 64),
    "Shopify": _begun("sh~pat_", _HEX, 32),
    "Linear": _begun("lin_~api_", _WORD, 40),
    "Notion": _begun("nt~n_", _WORD, 46),
    "Atlassian": _begun("ATA~TT3", _WORD, 180),
    "Databricks": _begun("da~pi", _HEX, 32),
    "Azure storage": _named("DefaultEndpointsProtocol=https;AccountKey", _BASE64, 86, "=="),
    "Vault": _begun("hv~s.", _WORD, 90),
    "Doppler": _begun("d~p.pt.", _WORD, 43),
    "age": _begun("AGE-~SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "Grafana": _begun("gl~sa_", _WORD, 41),
    "Supabase": _begun("sb~p_", _HEX, 40),
    "Terraform": lambda rng: f"{_some(rng, _WORD, 14)}.atl" + f"asv1.{_some(rng, _WORD, 67)}",
    "JWT": _jwt,
    "RSA key": lambda rng: _pem(rng, "RSA PRIVATE KEY"),
    "EC key": lambda rng: _pem(rng, "EC PRIVATE KEY"),
    "PKCS 8 key": lambda rng: _pem(rng, "PRIVATE KEY"),
    "encrypted key": lambda rng: _pem(rng, "ENCRYPTED PRIVATE KEY"),
    "OpenSSH key": lambda rng: _pem(rng, "OPENSSH PRIVATE KEY"),
    "DSA key": lambda rng: _pem(rng, "DSA PRIVATE KEY"),
    "PGP key": lambda rng: _pem(rng, "PGP PRIVATE KEY BLOCK"),
    "key in one line": lambda rng: _pem(rng, "RSA PRIVATE KEY", line_end="\\n"),
    **{
        f"{scheme} URL": _url(scheme, "db")
        for scheme in ("neo4j+s", "postgres", "postgresql", "redis", "mongodb+srv", "amqps")
    },
    **{f"{scheme} URL": _url(scheme, "api") for scheme in ("https", "mysql", "bolt", "ftp")},
}
"""Kind to what makes one."""

PLACEHOLDERS: tuple[str, ...] = (
    "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key=" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_" + "x" * 36,
    "ghp_" + "X" * 36,
    "ghp_" + "0" * 36,
    "ghp_" + "1234567890" * 3 + "123456",
    "ghp_<your token>",
    "github_pat_...",
    "glpat-" + "your-token-goes-here",
    "xoxb-" + "your-bot-token-here-please",
    "https://hooks.slack.com/services/" + "T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "sk_live_" + "x" * 24,
    "AIza" + "x" * 35,
    "sk-" + "x" * 48,
    "sk-proj-" + "x" * 48,
    "sk-ant-api03-" + "x" * 93,
    "sk-...",
    "npm_" + "x" * 36,
    "hf_" + "x" * 34,
    "SG." + "x" * 22 + "." + "x" * 43,
    "RAILWAY_TOKEN=" + "00000000-0000-0000-0000-000000000000",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n<your key>\n-----END PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n" + "x" * 64 + "\n-----END PRIVATE KEY-----",
    "postgres://user:" + "password@localhost:5432/db",
    "postgres://user:" + "${DB_PASSWORD}@db.acme.net/db",
    "redis://:" + "<password>@redis.acme.net:6379",
    "neo4j+s://neo4j:" + "your-password@abc.databases.neo4j.io",
    "mongodb+srv://user:" + "{{password}}@cluster.mongodb.net",
    "https://user:" + "pass@example.com/path",
    "API_KEY=" + "your_api_key_goes_here_1",
    "password: " + "changeme-changeme-1",
    "token = os.environ['GITHUB_TOKEN']",
)
"""What people write instead of a secret."""


def made(kind: str, seed: int = 1) -> str:
    """Make up a secret of a kind."""
    return SECRETS[kind](random.Random(f"{kind} {seed}"))

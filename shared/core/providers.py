"""The table of secrets that have a form of their own: one row a kind. How a text is scanned is secrets_gate's business.

Adding a kind is adding a row here and what it looks like to tests/core/made_secrets.py. A pattern has bounds on everything
that repeats, so that no text makes it slow; its first group is the secret itself, by which placeholders are told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9_-]"
_NOT_BEHIND = r"(?![A-Za-z0-9_-])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One row.

    Attributes:
        name: How findings call it.
        keywords: Only a text that holds one of these, in lower case where the row ignores case, is searched at all.
        expression: What it looks like; group 1 is the secret.
        folded: Whether the row ignores case.
        alone: Whether what stands before the match must be no part of a word. A pattern that begins with plain letters is
            found many times faster than one that looks behind itself first, so this is asked of each match instead.
        flags: Of `re`, beside the one that `folded` means.
    """

    name: str
    keywords: tuple[str, ...]
    expression: str
    folded: bool = False
    alone: bool = False
    flags: int = 0

    @property
    def pattern(self) -> re.Pattern[str]:
        """The expression, compiled when it is first needed (`re` keeps it): most texts hold no keyword of most rows."""
        return re.compile(self.expression, self.flags | (re.IGNORECASE if self.folded else 0))


def _plain(name: str, keyword: str, pattern: str) -> Provider:
    """A token that is known by how it begins."""
    return Provider(name=name, keywords=(keyword,), expression=f"({pattern}){_NOT_BEHIND}", alone=True)


def _assigned(name: str, keyword: str, pattern: str) -> Provider:
    """A secret without a form of its own, known by the name of its owner shortly before it."""
    between = r"[\w .-]{0,24}[\"']?[ \t]{0,4}(?:=>|:=|[:=])[ \t]{0,4}[\"'`]?"
    whole = rf"{keyword}{between}({pattern})(?![A-Za-z0-9/+_=-])"
    return Provider(name=name, keywords=(keyword,), expression=whole, folded=True)


PROVIDERS: tuple[Provider, ...] = (
    *(_plain("AWS access key id", kind, rf"{kind}[A-Z2-7]{{16}}") for kind in ("AKIA", "ASIA", "ABIA", "ACCA")),
    _assigned("AWS secret access key", "secret_access_key", r"[A-Za-z0-9/+]{40}"),
    _assigned("AWS secret access key", "secretaccesskey", r"[A-Za-z0-9/+]{40}"),
    _assigned("AWS session token", "session_token", r"[A-Za-z0-9/+=]{100,1000}"),
    _plain("GitHub token", "ghp_", r"ghp_[A-Za-z0-9]{36}"),
    _plain("GitHub fine-grained token", "github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _plain("GitHub OAuth token", "gho_", r"gho_[A-Za-z0-9]{36}"),
    _plain("GitHub App user token", "ghu_", r"ghu_[A-Za-z0-9]{36}"),
    _plain("GitHub App token", "ghs_", r"ghs_[A-Za-z0-9]{36}"),
    _plain("GitHub refresh token", "ghr_", r"ghr_[A-Za-z0-9]{36,76}"),
    _plain("GitLab token", "glpat-", rf"glpat-{_WORD}{{20,64}}"),
    _plain("GitLab runner token", "glrt-", rf"glrt-{_WORD}{{20,64}}"),
    _plain("GitLab CI token", "glcbt-", rf"glcbt-{_WORD}{{20,64}}"),
    _plain("GitLab deploy token", "gldt-", rf"gldt-{_WORD}{{20,64}}"),
    _plain("Slack token", "xox", r"xox[abeprs]-[A-Za-z0-9-]{20,200}"),
    _plain("Slack app token", "xapp-", r"xapp-\d-[A-Z0-9]{6,20}-\d{6,20}-[a-z0-9]{32,128}"),
    Provider(
        name="Slack webhook",
        keywords=("hooks.slack.com/",),
        expression=r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/]{20,120})",
    ),
    _plain("Stripe key", "sk_live_", r"sk_live_[A-Za-z0-9]{20,128}"),
    _plain("Stripe key", "rk_live_", r"rk_live_[A-Za-z0-9]{20,128}"),
    _plain("Stripe webhook secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,80}"),
    _plain("Google API key", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _plain("Google OAuth secret", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    _plain("Google OAuth token", "ya29.", r"ya29\.[A-Za-z0-9_-]{30,400}"),
    _plain("OpenAI key", "sk-", r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    _plain("OpenAI key", "sk-", r"sk-[A-Za-z0-9]{48}"),
    _plain("OpenAI project key", "sk-", r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{40,200}"),
    _plain("Anthropic key", "sk-ant-", r"sk-ant-(?:api|admin|oat|ort|sid)\d{2}-[A-Za-z0-9_-]{60,120}"),
    _plain("OpenRouter key", "sk-or-", r"sk-or-v1-[0-9a-f]{64}"),
    _plain("xAI key", "xai-", r"xai-[A-Za-z0-9]{60,100}"),
    _plain("Groq key", "gsk_", r"gsk_[A-Za-z0-9]{48,60}"),
    _plain("Perplexity key", "pplx-", r"pplx-[A-Za-z0-9]{40,60}"),
    _plain("Replicate token", "r8_", r"r8_[A-Za-z0-9]{37}"),
    _plain("npm token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _plain("PyPI token", "pypi-", r"pypi-AgE[A-Za-z0-9_-]{50,300}"),
    _plain("RubyGems key", "rubygems_", r"rubygems_[0-9a-f]{48}"),
    _plain("Hugging Face token", "hf_", r"hf_[A-Za-z]{34}"),
    _plain("Docker Hub token", "dckr_", r"dckr_[po]at_[A-Za-z0-9_-]{27,40}"),
    Provider(
        name="Telegram bot token",
        keywords=(":AA",),
        expression=rf":(?<=[0-9]{{8}}:)(AA{_WORD}{{33}}){_NOT_BEHIND}",
    ),
    Provider(
        name="Discord bot token",
        keywords=(".",),
        expression=(
            rf"\.(?:(?<=[MNO]{_WORD}{{23}}\.)|(?<=[MNO]{_WORD}{{24}}\.)|(?<=[MNO]{_WORD}{{25}}\.))"
            rf"({_WORD}{{6}}\.{_WORD}{{27,40}}){_NOT_BEHIND}"
        ),
    ),
    Provider(
        name="Discord webhook",
        keywords=("/api/webhooks/",),
        expression=r"discord(?:app)?\.com/api/webhooks/\d{15,22}/([A-Za-z0-9_-]{50,80})",
    ),
    _assigned("Twilio auth token", "twilio", r"[0-9a-f]{32}"),
    _plain("Twilio API key", "SK", r"SK[0-9a-f]{32}"),
    _plain("SendGrid key", "SG.", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _plain("Mailgun key", "key-", r"key-[0-9a-f]{32}"),
    Provider(name="Mailchimp key", keywords=("-us",), expression=r"-us(?<=([0-9a-f]{32})-us)[0-9]{1,2}(?![\w-])"),
    _assigned("Railway token", "railway", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    _assigned("Heroku key", "heroku", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    _plain("Heroku token", "HRKU-", r"HRKU-[A-Za-z0-9_-]{30,80}"),
    _assigned("Cloudflare token", "cloudflare", r"[A-Za-z0-9_-]{37,40}"),
    _plain("DigitalOcean token", "_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    _plain("Shopify token", "shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _plain("Linear key", "lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{40,64}"),
    _plain("Notion token", "ntn_", r"ntn_[A-Za-z0-9]{40,50}"),
    _plain("Notion token", "secret_", r"secret_[A-Za-z0-9]{43}"),
    _plain("Atlassian token", "ATATT3", r"ATATT3[A-Za-z0-9_=-]{60,300}"),
    _plain("Databricks token", "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _assigned("Azure storage key", "accountkey", r"[A-Za-z0-9+/]{86}=="),
    _plain("Vault token", "hvs.", r"hvs\.[A-Za-z0-9_-]{24,200}"),
    _plain("Doppler token", "dp.", r"dp\.(?:pt|st|ct|sa)\.[A-Za-z0-9_.-]{40,80}"),
    _plain("age key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    _plain("Grafana token", "gl", r"gl(?:c|sa)_[A-Za-z0-9+/=_]{32,400}"),
    _plain("Sentry token", "sntry", r"sntry[su]_[A-Za-z0-9+/=_]{60,400}"),
    _plain("PlanetScale password", "pscale_", r"pscale_(?:pw|tkn|oauth)_[A-Za-z0-9_.-]{32,64}"),
    _plain("Supabase key", "sbp_", r"sbp_[0-9a-f]{40}"),
    _plain("Pulumi token", "pul-", r"pul-[0-9a-f]{40}"),
    Provider(
        name="Terraform token",
        keywords=(".atlasv1.",),
        expression=r"\.atlasv1\.(?<=[A-Za-z0-9]{14}\.atlasv1\.)([A-Za-z0-9_=-]{60,70})",
    ),
    _plain("Figma token", "figd_", r"figd_[A-Za-z0-9_-]{36,64}"),
    _plain("Postman key", "PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    _plain("Square token", "EAAA", r"EAAA[A-Za-z0-9_-]{60}"),
    Provider(
        name="JSON web token",
        keywords=("eyJ",),
        expression=r"(eyJ(?<![\w-]eyJ)[\w-]{10,600}\.eyJ[\w-]{10,4000}\.[\w-]{20,1000})",
        flags=re.ASCII,
        alone=True,
    ),
)

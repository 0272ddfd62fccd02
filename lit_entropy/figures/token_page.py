"""A self-contained HTML page that shows which tokens drive the entropy of a rollout."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.colors import to_hex, to_rgb

from lit_entropy.figures.position_profile import PositionProfile, inline_svg, profile_figure
from lit_entropy.figures.style import BLUE, GREEN, ORANGE
from lit_entropy.figures.visible_text import visible, visible_lines

#: Shades a colour has; the strongest is light enough for black text on it.
LEVELS = 8
#: Table 1 of arXiv 2505.22617: share of tokens and mean covariance, Qwen2.5-7B at RL step 1.
PAPER_TABLE1 = {2e-4: 5.654, 2e-3: 3.112, 2e-2: 1.385, 0.2: 0.351, 0.5: 0.152, 1.0: 0.003}


@dataclass(frozen=True)
class ShownToken:
    """One token of a response; ``text`` as decoded, ``special`` for a sign of the tokenizer."""

    text: str
    special: bool
    logprob: float
    entropy: float
    covariance: float
    advantage: float


@dataclass(frozen=True)
class ShownResponse:
    """A response of the rollout; ``hidden`` counts the tokens and characters that are left out."""

    prompt: str
    hidden_characters: int
    tokens: Sequence[ShownToken]
    hidden_tokens: int
    reward: float
    correct: bool
    difficulty: int


@dataclass(frozen=True)
class TokenRow:
    """A vocabulary entry; ``change`` is its part of the predicted entropy change, nats."""

    text: str
    special: bool
    count: int
    change: float
    probability: float
    advantage: float


@dataclass(frozen=True)
class QuadrantRow:
    """Tokens of one advantage sign and probability: ``part`` of the mean covariance, ``share``."""

    name: str
    share: float
    part: float


@dataclass(frozen=True)
class TokenPageRecord:
    """Everything on the page; units as in the metric dictionary, ``table1`` by fraction."""

    run: str
    rl_step: int
    responses_total: int
    tokens_total: int
    reward: float
    entropy: float
    covariance: float
    table1: dict[float, float]
    high_probability: float
    quadrants: Sequence[QuadrantRow]
    lowering: Sequence[TokenRow]
    raising: Sequence[TokenRow]
    profile: PositionProfile
    responses: Sequence[ShownResponse]
    covariance_limit: float
    entropy_limit: float


def token_page(record: TokenPageRecord) -> str:
    """The page as HTML: inline style and drawing, nothing from a network.

    Args:
        record: the numbers and texts; every text is escaped and made visible.

    Returns:
        The document; equal records give equal text.
    """
    environment = Environment(
        loader=PackageLoader("lit_entropy", "figures/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "decimals": decimals,
        "signed": signed,
        "tooltip": tooltip,
        "visible": visible,
        "visible_lines": visible_lines,
    }
    template = environment.get_template("token_page.html.j2")
    return template.render(
        page=record,
        paper=PAPER_TABLE1,
        shades={"p": shades(ORANGE), "n": shades(BLUE), "e": shades(GREEN)},
        levels=LEVELS,
        svg=Markup(inline_svg(profile_figure(record.profile))),  # drawn from numbers alone
        covariance_class=lambda value: covariance_class(value, record.covariance_limit),
        entropy_level=lambda value: level(value, record.entropy_limit),
    )


def level(value: float, limit: float) -> int:
    """Shade of |value|: 0 at 0, the strongest from ``limit`` on, linear between them."""
    return round(LEVELS * min(abs(value) / limit, 1.0)) if limit > 0 else 0


def covariance_class(value: float, limit: float) -> str:
    """Class of a covariance: ``p3`` for the third shade of positive ones, ``n3`` of negative."""
    return f"{'n' if value < 0 else 'p'}{level(value, limit)}"


def shades(colour: str) -> list[str]:
    """Colours from white (0) to three quarters of ``colour``."""
    mixes = [0.75 * number / LEVELS for number in range(LEVELS + 1)]
    return [_mixed(colour, mix) for mix in mixes]


def _mixed(colour: str, share: float) -> str:
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


def decimals(values: Iterable[float], digits: int = 3) -> int:
    """Decimals that show the largest of ``values`` with ``digits`` significant digits."""
    largest = max(map(abs, values), default=0.0)
    return max(0, digits - 1 - math.floor(math.log10(largest))) if largest > 0 else digits - 1


def signed(value: float, places: int | None = None) -> str:
    """A number with a sign and ``places`` decimals, by default for three significant digits."""
    text = f"{value:+.{decimals([value]) if places is None else places}f}"
    if not any(digit in text for digit in "123456789"):
        return text[1:]  # a zero has no sign
    return text.replace("-", "\N{MINUS SIGN}")


def tooltip(token: ShownToken) -> str:
    """The numbers of a token in one line."""
    return (
        f"log π {token.logprob:.3f} · H {token.entropy:.3f} · "
        f"c {token.covariance:+.3f} · A {token.advantage:+.2f}"
    )

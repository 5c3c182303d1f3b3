"""What the simulated product is made of: places, channels, plans, names, features, models."""

from dataclasses import dataclass

# Federative units, their 2022 census population in thousands, and one area code each.
_STATES: tuple[tuple[str, int, int], ...] = (
    ("SP", 44411, 11), ("MG", 20539, 31), ("RJ", 16055, 21), ("BA", 14142, 71),
    ("PR", 11444, 41), ("RS", 10883, 51), ("PE", 9059, 81), ("CE", 8795, 85),
    ("PA", 8120, 91), ("SC", 7610, 48), ("GO", 7056, 62), ("MA", 6777, 98),
    ("PB", 3975, 83), ("AM", 3942, 92), ("ES", 3834, 27), ("MT", 3659, 65),
    ("RN", 3303, 84), ("PI", 3271, 86), ("AL", 3128, 82), ("DF", 2817, 61),
    ("MS", 2757, 67), ("SE", 2210, 79), ("RO", 1581, 69), ("TO", 1511, 63),
    ("AC", 830, 68), ("AP", 733, 96), ("RR", 637, 95),
)  # fmt: skip
REGIONS = tuple(name for name, _, _ in _STATES)
REGION_WEIGHTS = tuple(float(people) for _, people, _ in _STATES)
AREA_CODES = tuple(code for _, _, code in _STATES)

CHANNELS = ("organic", "referral", "paid_social", "paid_search", "whatsapp_invite", "partner")
CHANNEL_WEIGHTS = (0.30, 0.17, 0.20, 0.13, 0.14, 0.06)
# People who were invited stay; people who clicked on an advertisement leave.
CHANNEL_LOYALTY = (1.0, 1.25, 0.72, 0.88, 1.15, 0.95)

PLATFORMS = ("whatsapp", "web", "ios", "android")
PLATFORM_WEIGHTS = (0.26, 0.20, 0.18, 0.36)
LANGUAGES = ("pt-BR", "en-US", "es-419")
LANGUAGE_WEIGHTS = (0.94, 0.04, 0.02)
VERSIONS = tuple(f"{major}.{minor}.0" for major in range(4, 12) for minor in range(10))

USER_STATUSES = ("active", "suspended", "deleted")
SUBSCRIPTION_STATUSES = ("trialing", "active", "past_due", "canceled")
PAYMENT_STATUSES = ("paid", "failed", "refunded")
CONVERSATION_STATUSES = ("open", "closed")
ROLES = ("user", "assistant", "system")


@dataclass(frozen=True)
class Plan:
    """A row of the price list; plan ids count from 1."""

    code: str
    name: str
    price_cents: int


PLANS = (
    Plan("free", "Grátis", 0),
    Plan("basic", "Básico", 1990),
    Plan("pro", "Profissional", 4990),
    Plan("business", "Empresas", 14990),
)
FREE = 0
PURCHASE_WEIGHTS = (0.0, 0.56, 0.35, 0.09)
PRICE_CHANGES: dict[int, tuple[int, int]] = {9: (1, 2190), 60: (2, 5490)}
"""Day -> (plan position, new price): decided in the morning of the day, at 12:00 UTC."""


@dataclass(frozen=True)
class Model:
    """A language model: its share of conversations and how fast it answers."""

    name: str
    weight: float
    median_seconds: float


MODELS = (
    Model("gpt-4o-mini", 0.42, 2.1),
    Model("claude-haiku", 0.27, 1.7),
    Model("gemini-flash", 0.19, 1.3),
    Model("llama-3", 0.12, 3.4),
)

SCREENS = ("home", "chat", "history", "profile", "plans", "explore")
FEATURES = (
    "voice_note", "image_upload", "summarize", "translate",
    "share_conversation", "export_pdf", "web_search", "favorites",
)  # fmt: skip
FEATURE_WEIGHTS = (0.24, 0.16, 0.17, 0.11, 0.09, 0.06, 0.12, 0.05)
SETTINGS = ("notifications", "theme", "language", "privacy")
PATHS = ("/v1/messages", "/v1/conversations", "/v1/me", "/v1/plans", "/v1/uploads")
CAMPAIGNS = ("come_back", "new_feature", "trial_ending", "weekly_digest")
TAGS = ("suporte", "estudo", "trabalho", "receitas", "viagem", "saude", "financas")

FIRST_NAMES = (
    "Ana", "Maria", "João", "José", "Antônio", "Francisca", "Carlos", "Paulo", "Pedro", "Lucas",
    "Luiz", "Marcos", "Gabriel", "Rafael", "Daniel", "Marcelo", "Bruno", "Eduardo", "Felipe",
    "Juliana", "Márcia", "Fernanda", "Patrícia", "Aline", "Sandra", "Camila", "Amanda", "Bruna",
    "Jéssica", "Letícia", "Júlia", "Luciana", "Vanessa", "Mariana", "Beatriz", "Larissa",
    "Helena", "Alice", "Laura", "Heitor", "Miguel", "Arthur", "Davi", "Theo", "Bernardo", "Cecília",
)  # fmt: skip
LAST_NAMES = (
    "Silva", "Santos", "Oliveira", "Souza", "Rodrigues", "Ferreira", "Alves", "Pereira", "Lima",
    "Gomes", "Costa", "Ribeiro", "Martins", "Carvalho", "Almeida", "Lopes", "Soares", "Fernandes",
    "Vieira", "Barbosa", "Rocha", "Dias", "Nascimento", "Andrade", "Moreira", "Nunes", "Marques",
    "Machado", "Mendes", "Freitas", "Cardoso", "Ramos", "Gonçalves", "Santana", "Teixeira",
    "Araújo", "Moura", "Cavalcanti", "Monteiro", "Batista",
)  # fmt: skip
EMAIL_DOMAINS = ("example.com", "mail.example.com", "correio.example.com")
EMAIL_DOMAIN_WEIGHTS = (0.6, 0.25, 0.15)
